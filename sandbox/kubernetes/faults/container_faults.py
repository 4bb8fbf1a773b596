"""Faults of a container that last for a while: no `sh`, a read-only root, a full disk, a PID 1 that does not reap.

Each fault begins when the daemon runs something in the container, so at least that command meets it. It is undone
after some seconds.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field

from sandbox.faults.armoury import Armed, Armoury
from sandbox.faults.kinds import FaultKind
from sandbox.kubernetes.faults.background import Background
from sandbox.kubernetes.node.containers import Container
from sandbox.kubernetes.node.proc import children, is_zombie
from sandbox.kubernetes.node.runtime import Runtime
from sandbox.polling import until

_USUAL = {
    FaultKind.READ_ONLY_ROOT: 1.0,
    FaultKind.DISK_FULL: 1.0,
    FaultKind.PID1_DOES_NOT_REAP: 10.0,
}
# Each directory is mounted once more on itself: a mount with files open for writing can't be made read-only.
_READ_ONLY = """set -e
mount --rbind /tmp /tmp
mount -o remount,bind,ro /tmp
mount --bind {0} {0}
mount -o remount,bind,ro {0}
"""
_WRITABLE = "umount -l {0}; umount -R -l /tmp"
# The file system has no block left. What needs none, such as a short symbolic link, can still be made.
_FULL = "mount -o remount,size={} /tmp"
_ROOMY = "mount -o remount,size=50% /tmp"


class ContainerFaultError(RuntimeError):
    """This machine or this container does not let the fault be made."""


@dataclass
class ContainerFaults:
    """The faults of all containers."""

    armoury: Armoury
    runtime: Runtime
    background: Background
    _met: set[tuple[FaultKind, str]] = field(default_factory=set)

    async def meet(self, armed: Armed, container: Container, command: Sequence[str]) -> str | None:
        """Bring the fault about before a command of the daemon is run in the container.

        Returns why the command can't be started, in runc's words; None: it can.
        """
        kind = armed.fault.kind
        if kind is FaultKind.NO_SH:
            # What runs in the container already keeps its shell; an exec finds none.
            missing = command[0] == "sh" and self.armoury.hit(armed)
            return 'exec: "sh": executable file not found in $PATH' if missing else None
        if (kind, container.id) not in self._met:
            await self._begin(armed, container)
        return None

    async def _begin(self, armed: Armed, container: Container) -> None:
        """Make the fault, and let it be undone later in the background; returns once it is made."""
        kind = armed.fault.kind
        self._met.add((kind, container.id))
        begun: asyncio.Event = asyncio.Event()
        self.background.start(self._last(armed, container, begun))
        await begun.wait()

    async def _last(self, armed: Armed, container: Container, begun: asyncio.Event) -> None:
        kind = armed.fault.kind
        seconds = armed.fault.seconds_or(_USUAL[kind])
        counted = False

        def over() -> bool:
            nonlocal counted
            if not counted and any(map(is_zombie, children(container.pid))):
                counted = self.armoury.hit(armed)
            return is_to_end() or not container.alive

        try:
            with self.armoury.lasting(armed, container.id) as is_to_end:
                try:
                    await self._make(kind, container)
                    counted = kind is not FaultKind.PID1_DOES_NOT_REAP
                    if not counted or self.armoury.hit(armed):
                        begun.set()
                        await until(over, within=seconds)
                finally:
                    await self._undo(kind, container)
        finally:
            begun.set()
            self._met.discard((kind, container.id))

    async def _make(self, kind: FaultKind, container: Container) -> None:
        match kind:
            case FaultKind.READ_ONLY_ROOT:
                await self._inside(container, _READ_ONLY.format(container.app))
                container.read_only.touch()
            case FaultKind.DISK_FULL:
                held = os.statvfs(f"/proc/{container.pid}/root/tmp")
                used = (held.f_blocks - held.f_bfree) * held.f_frsize
                await self._inside(container, _FULL.format(max(used, held.f_frsize)))
            case FaultKind.PID1_DOES_NOT_REAP:
                container.signal(signal.SIGUSR1)

    async def _undo(self, kind: FaultKind, container: Container) -> None:
        if not container.alive:
            return
        match kind:
            case FaultKind.READ_ONLY_ROOT:
                container.read_only.unlink(missing_ok=True)
                await self._inside(container, _WRITABLE.format(container.app))
            case FaultKind.DISK_FULL:
                await self._inside(container, _ROOMY)
            case FaultKind.PID1_DOES_NOT_REAP:
                container.signal(signal.SIGUSR2)

    async def _inside(self, container: Container, script: str) -> None:
        if self.runtime.mode == "none":
            raise ContainerFaultError("containers have no file systems of their own on this machine")
        process = await asyncio.create_subprocess_exec(
            *self.runtime.exec_command(container, ["sh", "-c", script]),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await process.communicate()
        if process.returncode:
            raise ContainerFaultError(errors.decode(errors="replace")[-300:])

    async def recover(self) -> None:
        """Undo the faults that a server which was killed left in containers."""
        for name, identifier in self.armoury.effects(frozenset(_USUAL)).items():
            container = self.runtime.find(identifier, "")
            await self._undo(FaultKind(name.partition(".")[0]), container)
            self.armoury.forget(name)
