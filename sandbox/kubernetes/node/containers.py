"""A container: one process tree under `init`, in namespaces of its own, found again after a restart of the server.

Everything of a container lies in DIRECTORY/containers/ID: `app` (the private copy of its image, and its working
directory), the init's `spec.json`, `state` (`PID STARTTICKS` on the host) and `exit`. The directory is the record, so
the API server may be killed at any instant. A container ends with the process behind `life`, a pidfd that PID 1 holds,
so a sandbox that is killed leaves no container behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.kubernetes.node.proc import gone, start_ticks


@dataclass(frozen=True)
class Ended:
    """How a container ended: its exit code (128 + signal when killed) and Kubernetes' reason."""

    code: int
    reason: str


@dataclass
class Container:
    """A container that was started. `pid` is the host's number of its PID 1; 0 until the container is up."""

    id: str
    directory: Path
    image_id: str
    isolated: bool = True
    pid: int = 0
    ticks: int = 0
    wrapper: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def app(self) -> Path:
        """Its working directory, with the private copy of its image."""
        return self.directory / "app"

    @property
    def ready_file(self) -> Path:
        """The file that the service touches once it serves."""
        return self.app / ".ready"

    @property
    def read_only(self) -> Path:
        """The file that is there while the root is read-only: programs then have to enter a directory by its path."""
        return self.directory / "read-only"

    @property
    def alive(self) -> bool:
        """Whether its PID 1 runs."""
        return self.pid > 0 and start_ticks(self.pid) == self.ticks

    def environment(self) -> dict[str, str]:
        """The variables that it was started with, which every exec gets, too."""
        loaded: dict[str, str] = json.loads((self.directory / "environment.json").read_text())
        return loaded

    def read_state(self) -> bool:
        """Read `pid` and `ticks` from the init's record; False while there is none."""
        with contextlib.suppress(FileNotFoundError):
            pid, ticks = (self.directory / "state").read_text().split()
            self.pid, self.ticks = int(pid), int(ticks)
            return True
        return False

    async def up(self) -> bool:
        """Wait until PID 1 has made its mounts and started the command; False when it ended before."""
        while not self.read_state():
            if self.wrapper is None or self.wrapper.poll() is not None:
                return self.read_state()
            await asyncio.sleep(0.01)
        return True

    async def ended(self) -> Ended:
        """Wait for the end. A container whose PID 1 left no record was killed: 137, with the reason of `kill_for`."""
        if self.pid:
            await gone(self.pid, self.ticks)
        if self.wrapper is not None:
            await asyncio.to_thread(self.wrapper.wait)
        with contextlib.suppress(FileNotFoundError):
            code, reason = (self.directory / "exit").read_text().split()
            return Ended(int(code), reason)
        with contextlib.suppress(FileNotFoundError):
            return Ended(137, (self.directory / "killed-for").read_text())
        return Ended(137, "Error")

    def kill_for(self, reason: str) -> None:
        """Kill the whole container; its status will give the reason, such as `OOMKilled`."""
        (self.directory / "killed-for").write_text(reason)
        self.signal(signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to PID 1; SIGKILL ends the whole container."""
        if number is signal.SIGKILL and not self.isolated:
            self._kill_marked()
        elif self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
        elif self.wrapper is not None and self.wrapper.poll() is None and not self.pid:
            # PID 1 has not recorded its number yet. The wrapper is the only handle, and has --kill-child.
            self.wrapper.kill()

    def _kill_marked(self) -> None:
        """Kill every process with this container's id in its environment; used where there is no PID namespace."""
        marker = f"SANDBOX_CONTAINER_ID={self.id}".encode()
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if marker in (process / "environ").read_bytes().split(b"\0"):
                    os.kill(int(process.name), signal.SIGKILL)
