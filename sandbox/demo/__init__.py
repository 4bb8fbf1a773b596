"""`resetd demo`: a whole story on the sandbox platform, and the proof of each claim about it."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from sandbox.demo.screen import Screen
from sandbox.demo.story import tell
from sandbox.demo.verdict import show

WIDTH = 110
"""Columns where the output is no terminal."""


def main() -> int:
    """Run the demo; 0 when every claim was shown to be true, else 1."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    with tempfile.TemporaryDirectory(prefix="resetd-demo-", ignore_cleanup_errors=True) as directory:
        # The databases' account has to reach its files through this directory.
        Path(directory).chmod(0o755)
        try:
            evidence = asyncio.run(tell(Path(directory), Screen(console)))
        except KeyboardInterrupt:
            console.print("stopped; nothing was left behind")
            return 1
        return 0 if show(evidence, console) else 1
