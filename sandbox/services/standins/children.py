"""Runs a child as npm does: it passes signals on, and its exit code or signal becomes the program's."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def wait_for(argv: list[str], environ: Mapping[str, str], cwd: str | None = None) -> int:
    """Run a child to its end; returns its exit code (negative: the signal that ended it).

    A SIGHUP that the caller ignores stays ignored, by this program and by the child.
    """
    child = subprocess.Popen(argv, env=dict(environ), cwd=cwd)
    for number in _FORWARDED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: child.send_signal(number))
    return child.wait()


def with_local_programs(directory: Path) -> dict[str, str]:
    """The environment that npm and npx give to children: a package's `node_modules/.bin` is first on PATH."""
    local = directory / "node_modules" / ".bin"
    return {**os.environ, "PATH": f"{local}:{os.environ.get('PATH', '/usr/bin:/bin')}"}


def package_directory() -> Path | None:
    """The nearest directory with a package.json, from the working directory upwards; None when there is none."""
    here = Path.cwd()
    for directory in (here, *here.parents):
        if (directory / "package.json").is_file():
            return directory
    return None
