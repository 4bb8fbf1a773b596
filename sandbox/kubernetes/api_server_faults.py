"""The API server is killed and started again, once a command's stream is open that this cuts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sandbox.faults.armoury import Armed, Armoury
from sandbox.faults.injection import Striker, wait
from sandbox.faults.kinds import FaultKind
from sandbox.kubernetes.control import Cluster


class ApiServerFaults:
    """`cluster` answers the running double, `start` starts it again after its kill."""

    def __init__(self, armoury: Armoury, cluster: Callable[[], Cluster], start: Callable[[], None]) -> None:
        self._armoury = armoury
        self._cluster = cluster
        self._start = start

    def strikers(self) -> dict[FaultKind, Striker]:
        """What this serves."""
        return {FaultKind.API_SERVER_RESTARTED: self.restart}

    def restart(self, armed: Armed) -> None:
        """SIGKILL, and a new process with the same address; containers and commands run on."""
        cluster = self._cluster()
        if not asyncio.run(cluster.open_streams()):
            return
        with self._armoury.lasting(armed) as is_to_end:
            cluster.running.kill()
            self._armoury.hit(armed)
            try:
                wait(armed.fault.seconds_or(0.0), is_to_end)
            finally:
                self._start()
