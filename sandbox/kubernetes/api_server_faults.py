"""The fault that kills the API server and starts it again, at a moment when this cuts the stream of an exec."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sandbox.faults.armoury import Armed, Armoury
from sandbox.faults.injection import Injector, wait
from sandbox.faults.kinds import FaultKind
from sandbox.kubernetes.control import Cluster


class ApiServerFaults:
    """`cluster` returns the running double, and `start` starts it again after its kill."""

    def __init__(self, armoury: Armoury, cluster: Callable[[], Cluster], start: Callable[[], None]) -> None:
        self._armoury = armoury
        self._cluster = cluster
        self._start = start

    def injectors(self) -> dict[FaultKind, Injector]:
        """The injector of each kind that is served here."""
        return {FaultKind.API_SERVER_RESTARTED: self.restart}

    def restart(self, armed: Armed) -> None:
        """Kill the server and start another process at the same address; containers and commands run on."""
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
