"""A thousand resets in flight, a SIGKILL, and how soon each command is known to be alive.

Baseline, in the same run and against the same pods: as many bare execs of `true`, as many at once as the daemon makes.
Run it with `python -m benchmarks.in_flight`; it takes minutes, so that it is no part of `make test`. The exit code is 1
where a figure is not what issue 4 asks for.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from benchmarks.in_flight_stand import (
    ENVIRONMENTS,
    LAUNCHES,
    PODS_EACH,
    SERVICES_EACH,
    Flight,
    started,
)
from benchmarks.in_flight_state import put_in_flight
from daemon.adapters.kubernetes.client import KubernetesSettings, open_kubernetes
from daemon.adapters.kubernetes.pods import KubernetesPods
from daemon.ports.errors import TemporaryError
from daemon.ports.pods.cluster import Pod
from sandbox.daemon_process import DaemonProcess

RESETS = len(ENVIRONMENTS) * SERVICES_EACH
_ALIVE = re.compile(rb'"attempt": "([^"]+)"')
MOST_RATIO = 2.0
MOST_MEMORY = 100.0
"""MB above the idle daemon."""


@dataclass(frozen=True)
class Found:
    """The daemon's log: it says of each command when it first saw it alive."""

    log: Path

    async def all_alive(self, daemon: DaemonProcess) -> tuple[float, float]:
        """Start the daemon; seconds until the first and until the last command was seen alive."""
        offset = self.log.stat().st_size
        began, first = monotonic(), 0.0
        daemon.start()
        while True:
            found = self._attempts(offset)
            first = first or (monotonic() - began if found else 0.0)
            if len(found) == RESETS:
                return first, monotonic() - began
            await asyncio.sleep(0.05)

    def _attempts(self, offset: int) -> set[str]:
        with self.log.open("rb") as log:
            log.seek(offset)
            return {_ALIVE.findall(line)[0].decode() for line in log if b'"command.alive"' in line}


class Cluster:
    """The pods, asked with the daemon's own adapter and its limits."""

    def __init__(self, pods: KubernetesPods, chosen: list[Pod]) -> None:
        self._pods = pods
        self.chosen = chosen

    async def bare_execs(self) -> float:
        """Seconds that as many execs of `true` take as there are resets."""
        began = monotonic()
        reads = [
            self._pods.read(self.chosen[number % len(self.chosen)], ["true"], timeout=600)
            for number in range(RESETS)
        ]
        await asyncio.gather(*reads)
        return monotonic() - began

    async def launches(self) -> Counter[str]:
        """By attempt, how often its command was started: the commands wrote it down themselves."""
        argv = ["sh", "-c", f"cat {LAUNCHES} 2>/dev/null; :"]
        found = await asyncio.gather(*(self._pods.read(pod, argv, timeout=60) for pod in self.chosen))
        return Counter(line for one in found for line in one.stdout.decode().splitlines())


async def _cluster(pods: KubernetesPods) -> Cluster:
    return Cluster(
        pods,
        [
            await _ready(pods, environment, f"app.kubernetes.io/name=app-{number}")
            for environment in ENVIRONMENTS
            for number in range(PODS_EACH)
        ],
    )


async def _ready(pods: KubernetesPods, environment: str, selector: str) -> Pod:
    async with asyncio.timeout(120):
        while True:
            try:
                return await pods.choose(environment, selector, None)
            except TemporaryError:
                await asyncio.sleep(0.2)


def memory(pid: int | None, field: str = "VmRSS") -> float:
    """MB that a process has now, or (`VmHWM`) had at most."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise ValueError(field)


def settled(daemon: DaemonProcess) -> float:
    """MB of a daemon once they no longer grow."""
    before = 0.0
    while (now := memory(daemon.pid)) > before + 0.5:
        before = now
        sleep(3)
    return now


async def measure(flight: Flight, directory: Path) -> bool:
    """Print the figures; whether all are as they have to be."""
    settings = {
        **flight.environment,
        "RESETD_MAX_CONCURRENT_RESETS": str(RESETS),
        "RESETD_LEASE_TTL": "60s",
        "RESETD_LOG_LEVEL": "info",
    }
    daemon = DaemonProcess(directory / "daemon", settings)
    state = directory / "daemon" / "state.sqlite3"
    found = Found(daemon.log)
    async with open_kubernetes(KubernetesSettings(kubeconfig=flight.kubeconfig)) as kubernetes:
        pods = KubernetesPods(kubernetes)
        cluster = await _cluster(pods)
        catalog = Path(flight.environment["RESETD_CATALOG"])
        try:
            daemon.start()
            await asyncio.to_thread(daemon.wait_ready, within=120)
            idle = await asyncio.to_thread(settled, daemon)
            print(f"idle daemon                                   {idle:8.1f} MB")
            daemon.kill()
            for file in state.parent.glob(f"{state.name}*"):
                file.unlink()
            began = monotonic()
            await put_in_flight(state, catalog, pods, cluster.chosen)
            assert sum((await cluster.launches()).values()) == RESETS
            print(f"{RESETS} resets at work, made by hand           {monotonic() - began:8.1f} s")
            await found.all_alive(daemon)
            print(f"daemon that found them                        {memory(daemon.pid):8.1f} MB")
            daemon.kill()
            bare = await cluster.bare_execs()
            print(f"{RESETS} bare execs                              {bare:8.1f} s")
            first, last = await found.all_alive(daemon)
            print(f"SIGKILL, restart: the first / the last alive  {first:8.1f} / {last:.1f} s")
            await asyncio.sleep(60)
            now, most = memory(daemon.pid), memory(daemon.pid, "VmHWM")
            print(f"daemon after it, and at most                  {now:8.1f} / {most:.1f} MB")
            launches = await cluster.launches()
        finally:
            daemon.kill()
    twice = sum(number > 1 for number in launches.values())
    print(f"found {last / bare:.2f} times the bare execs; {now - idle:+.1f} MB; {twice} launched twice")
    return last <= MOST_RATIO * bare and now - idle <= MOST_MEMORY and not twice


def main() -> int:
    """Exit code."""
    with tempfile.TemporaryDirectory(prefix="in-flight-") as directory, started(Path(directory)) as flight:
        return 0 if asyncio.run(measure(flight, Path(directory))) else 1


if __name__ == "__main__":
    sys.exit(main())
