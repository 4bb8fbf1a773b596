"""Child processes of the platform. Each has a ready line, and ends with the process that started it.

A child's standard input is the reading end of a pipe; the platform holds the other end and never writes. When the
platform ends, by whatever signal, the pipe closes and the child ends by itself.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import ready_line

_DOWN_WITHIN = 5.0


class ChildFailedError(RuntimeError):
    """A child did not come up; the message ends with the last lines of its log."""


@dataclass(frozen=True)
class Child:
    """A running child and its ready line."""

    process: subprocess.Popen[bytes]
    ready: dict[str, Any]

    def stop(self) -> None:
        """Close the pipe, and kill the child if that does not end it in a few seconds."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self.process.wait(_DOWN_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(module: str, arguments: Sequence[str], *, log: Path, within: float = 30.0) -> Child:
    """Run `python -m module --while-stdin-open ARGUMENTS` and wait for its ready line; it blocks.

    Raises:
        ChildFailedError: no ready line within `within` seconds.
    """
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module, "--while-stdin-open", *arguments],
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C is for the platform, which ends its children in its order
        )
    if (ready := ready_line.read(process, within=within)) is not None:
        return Child(process, ready)
    Child(process, {}).stop()
    raise ChildFailedError(f"{module} did not come up: {log.read_text(errors='replace')[-1000:]}")
