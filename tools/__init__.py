"""Commands of maintainers: ``python -m tools.<name>``. Ctrl-C ends them in one line, also while they load libraries."""

from mgr_helpers.host import ctrl_c  # noqa: F401
