"""Starting the double as a process, for the platform and for tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import ready_line

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Arguments:
    """The arguments of `python -m sandbox.kubernetes`; its `--help` says what each one is."""

    directory: Path
    images: Path
    environment_file: Path
    port: int = 0
    journal: Path | None = None
    controls: Path | None = None
    faults: Path | None = None
    life_pid: int | None = None
    environments: tuple[str, ...] | None = None
    parallel_starts: int = 4

    def argv(self) -> list[str]:
        """The command line that starts the double."""
        argv = [sys.executable, "-m", "sandbox.kubernetes"]
        given = {
            "--directory": self.directory,
            "--images": self.images,
            "--environment-file": self.environment_file,
            "--port": self.port,
            "--journal": self.journal,
            "--controls": self.controls,
            "--faults": self.faults,
            "--life-pid": self.life_pid or os.getpid(),
            "--environments": None if self.environments is None else ",".join(self.environments),
            "--parallel-starts": self.parallel_starts,
        }
        for name, value in given.items():
            if value is not None:
                argv += [name, str(value)]
        return argv


@dataclass(frozen=True)
class Running:
    """A started double. `ready` is its ready line."""

    process: subprocess.Popen[bytes]
    ready: dict[str, Any]

    @property
    def kubeconfig(self) -> str:
        """The path of the admin's kubeconfig file."""
        return str(self.ready["kubeconfig"])

    def stop(self) -> None:
        """Send SIGTERM, which ends the server and every container."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL, which ends the server; the containers run on."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()


def start(arguments: Arguments, patience: float = 30.0) -> Running:
    """Start the double and wait for its ready line; it blocks.

    What the server writes to stderr goes to DIRECTORY/server.log.

    Raises:
        RuntimeError: no ready line within `patience` seconds.
    """
    arguments.directory.mkdir(parents=True, exist_ok=True)
    log = arguments.directory / "server.log"
    with log.open("ab") as errors:
        process = subprocess.Popen(
            arguments.argv(),
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    if (ready := ready_line.read(process, within=patience)) is not None:
        return Running(process, ready)
    assert process.stdout is not None
    process.kill()
    process.wait()
    process.stdout.close()
    raise RuntimeError(f"the Kubernetes double did not start: {log.read_text()[-2000:]}")
