"""Starts the journal as a process of its own, so that nobody who is watched can change what it saw."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from sandbox.journal.records import Journal, read

_DOWN_WITHIN = 10.0


@dataclass(frozen=True)
class JournalProcess:
    """The running witness. Containers get `socket` as SANDBOX_JOURNAL."""

    socket: Path
    file: Path
    _process: subprocess.Popen[bytes]

    def read(self) -> Journal:
        """Read what was recorded until now."""
        return read(self.file)

    def stop(self) -> None:
        """End the witness; its file stays."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(_DOWN_WITHIN)
        if self._process.stdout:
            self._process.stdout.close()


def start(directory: Path) -> JournalProcess:
    """Start the witness with `journal.sock` and `journal.jsonl` in `directory`.

    The witness ends with the process that started it.

    Raises:
        RuntimeError: it did not come up.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path, file = directory / "journal.sock", directory / "journal.jsonl"
    process = subprocess.Popen(
        [
            sys.executable,
            *("-I", "-m", "sandbox.journal", "--while-stdin-open"),
            *("--socket", str(path), "--file", str(file)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    if process.stdout is None or process.stdout.readline() != b"ready\n":
        process.kill()
        process.wait()
        raise RuntimeError("the sandbox's journal did not come up")
    return JournalProcess(path, file, process)
