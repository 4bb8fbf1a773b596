"""The line of JSON by which a server of the sandbox says on its standard output that it serves."""

from __future__ import annotations

import json
import selectors
import subprocess
import time
from typing import Any


def read(process: subprocess.Popen[bytes], *, within: float) -> dict[str, Any] | None:
    """The ready line of a process that was started with a pipe for its output; it blocks.

    None when the process has ended, or when no line came within `within` seconds.
    """
    if process.stdout is None:
        return None
    end = time.monotonic() + within
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        # A ready line is shorter than what a pipe takes at once, so its first byte means all of it.
        if selector.select(max(0.0, end - time.monotonic())) and (line := process.stdout.readline()):
            ready: dict[str, Any] = json.loads(line)
            return ready
    return None
