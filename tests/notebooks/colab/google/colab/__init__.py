"""A stand-in for what Colab puts into its kernels: `auth` and `drive`, as far as the notebooks may touch them.

It has no `google/__init__.py`, so that the name space goes on to hold `google.protobuf` and the others, as in Colab.
"""

import types
from pathlib import Path

asked = []  # every consent that a user would have been asked for


def _authenticate_user() -> None:
    asked.append("auth")


def _mount(mountpoint: str, force_remount: bool = False) -> None:
    """Make the folder that Drive's files appear in; Colab refuses a place that has files."""
    folder = Path(mountpoint)
    if not force_remount and folder.is_dir() and any(folder.iterdir()):
        if (folder / "MyDrive").is_dir():
            print(f"Drive already mounted at {mountpoint}.")
            return
        raise ValueError("Mountpoint must not already contain files")
    asked.append("drive")
    if "refused" in asked:
        raise ValueError("no consent")
    (folder / "MyDrive").mkdir(parents=True, exist_ok=True)
    print(f"Mounted at {mountpoint}")


def refuse() -> bool:
    """From now on the user refuses; returns True."""
    asked.append("refused")
    return True


auth = types.SimpleNamespace(authenticate_user=_authenticate_user)
drive = types.SimpleNamespace(mount=_mount)
