"""Run a child as npm does: signals are passed on to it, and its exit code or signal becomes ours."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def wait_for(argv: list[str], environ: Mapping[str, str], cwd: str | None = None) -> int:
    """The child's exit code; negative: the signal that ended it.

    A SIGHUP that the caller ignores stays ignored, for us and for the child.
    """
    child = subprocess.Popen(argv, env=dict(environ), cwd=cwd)
    for number in _FORWARDED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: child.send_signal(number))
    return child.wait()


def with_local_programs(directory: Path) -> dict[str, str]:
    """The environment with `node_modules/.bin` of a package first on PATH, as npm and npx give it to children."""
    local = directory / "node_modules" / ".bin"
    return {**os.environ, "PATH": f"{local}:{os.environ.get('PATH', '/usr/bin:/bin')}"}


def package_directory() -> Path | None:
    """The nearest directory upwards that holds a package.json; None when there is none."""
    here = Path.cwd()
    for directory in (here, *here.parents):
        if (directory / "package.json").is_file():
            return directory
    return None
