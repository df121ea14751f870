"""An emulated Pico behind a pseudo-terminal."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import tempfile
import threading
from pathlib import Path

import numpy as np

from mgr_helpers.pico import emulator


@contextlib.contextmanager
def serial_port(image: dict, adc: np.ndarray | None = None, seconds: float | None = None, pace: float = 0.0):
    """Run an emulated Pico that any program can open as a serial port (Linux, macOS).

    Parameters
    ----------
    image, adc, seconds
        As in `emulator.emulate`; without `seconds` it runs until the block is left.
    pace : float
        Most emulated seconds per second: 1 is real time, 0 sets no limit.

    Yields
    ------
    dict
        port (str): the path to open.
        unplug (function): stops the Pico and closes the port.
        result (function): waits for the end and returns what `emulate` returns.
    """
    import pty  # not on Windows
    import tty

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        emulator.write_job(image, folder, adc, seconds=seconds, interactive=True, pace=pace)
        command, environment = emulator.node_command(folder)
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        bridge = _Bridge(process, ours, theirs)

        def result() -> dict:
            process.wait()
            return emulator.read_result(folder)

        try:
            yield {"port": os.ttyname(theirs), "unplug": bridge.close, "result": result}
        finally:
            bridge.close()


class _Bridge:
    """Two threads that copy bytes between the pipes of a process and a pseudo-terminal."""

    def __init__(self, process: subprocess.Popen, ours: int, theirs: int) -> None:
        self.process, self.ours, self.theirs = process, ours, theirs
        self.wake, self.stop = os.pipe()
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self._to_pico, self._from_pico)]
        for thread in self.threads:
            thread.start()

    def _to_pico(self) -> None:
        while True:
            ready, _, _ = select.select([self.ours, self.wake], [], [])
            if self.wake in ready:
                return
            try:
                self.process.stdin.write(os.read(self.ours, 4096))
                self.process.stdin.flush()
            except (OSError, ValueError):  # the process or the terminal is gone
                return

    def _from_pico(self) -> None:
        while sent := self.process.stdout.read1(65536):
            while sent:
                try:
                    sent = sent[os.write(self.ours, sent):]
                except OSError:  # unplugged: what the Pico still sends is lost, as on a board
                    return

    def close(self) -> None:
        """Unplug: stop the Pico, then close the terminal."""
        if self.ours < 0:
            return
        os.write(self.stop, b"x")
        self.threads[0].join()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        if self.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(2)
        ours, self.ours = self.ours, -1
        for handle in (self.theirs, ours, self.wake, self.stop):
            os.close(handle)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.threads[1].join(2)
