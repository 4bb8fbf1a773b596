"""How long until another replica goes on after a SIGKILL, with the default settings: `python -m benchmarks.failover`.

Two daemons on one PostgreSQL, one reset whose first seed runs. The one that holds it is killed; the time is from the
SIGKILL to the next command, as the sandbox's journal saw it start. The seed itself ends a second after the kill.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psycopg

from sandbox.daemon_process import DaemonProcess
from sandbox.events import Publisher
from sandbox.journal import Launch
from sandbox.platform.platform import Platform
from sandbox.services.standins.controls import Control
from schemas.publish import Mode, ResetRequested

ENVIRONMENT = "qa-sandbox"
FIRST, NEXT = "sequence-builder-api", "workflow-api"
_WITHIN = 60.0
_DEFAULTS = ("RESETD_KAFKA_SESSION_TIMEOUT", "RESETD_LEASE_TTL")

T = TypeVar("T")


def until(look: Callable[[], T | None], what: str) -> T:
    """What `look` answers once that is true; RuntimeError where it is not in time."""
    end = time.monotonic() + _WITHIN
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.02)
    raise RuntimeError(f"not within {_WITHIN:g} s: {what}")


def state_database(platform: Platform) -> str:
    """The URL of an empty database on a server of the platform's."""
    server = platform.databases.servers["qa"]
    with psycopg.connect(server.superuser_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE resetd_state")
    return f"{server.superuser_url.rpartition('/')[0]}/resetd_state"


def owner(state: str, number: int) -> str | None:
    """The boot id of whoever holds the lease of that reset."""
    with psycopg.connect(state) as connection:
        row = connection.execute("SELECT lease_owner FROM resets WHERE number = %s", [number]).fetchone()
    return row[0] if row else None


def boot_id(daemon: DaemonProcess) -> str:
    """Of its last start, by its log."""
    lines = [line for line in daemon.log.read_text().splitlines() if '"daemon.started"' in line]
    return str(json.loads(lines[-1])["owner"])


def launched(platform: Platform, service: str, after: float) -> Launch | None:
    """The first command of a reset in that service's pod that was launched after that moment."""
    for one in platform.journal_reader().outermost():
        if one.service == service and one.attempt is not None and one.started >= after:
            return one
    return None


def one_round(
    platform: Platform, publisher: Publisher, daemons: list[DaemonProcess], state: str, number: int
) -> float:
    """Seconds from the kill to the next command; the killed daemon is up again at the end."""
    began = time.monotonic()
    wanted = ResetRequested(
        environment=ENVIRONMENT, requested_by="bench", mode=Mode.SEED, services=(FIRST, NEXT), git=False
    )
    publisher.publish(wanted)
    until(lambda: launched(platform, FIRST, began), "the first seed runs")
    holder = until(lambda: owner(state, number), "somebody holds the reset")
    victim = next(one for one in daemons if boot_id(one) == holder)
    killed = time.monotonic()
    victim.kill()
    following = until(lambda: launched(platform, NEXT, killed), "the other daemon goes on")
    victim.start()
    victim.wait_ready(within=_WITHIN)
    until(lambda: owner(state, number) is None, "the reset is over")
    return following.started - killed


async def main(rounds: int) -> None:
    """Print the times and their middle."""
    with tempfile.TemporaryDirectory(prefix="resetd-failover-") as place:
        directory = Path(place)
        async with Platform.start(directory / "platform", environments=[ENVIRONMENT]) as platform:
            times = await asyncio.to_thread(measured, platform, directory, rounds)
    print("seconds from SIGKILL to the next command:", " ".join(f"{one:.1f}" for one in times))
    print(f"middle {statistics.median(times):.1f}, longest {max(times):.1f}, {rounds} kills")


def measured(platform: Platform, directory: Path, rounds: int) -> list[float]:
    """One time for each round."""
    platform.control(ENVIRONMENT, FIRST, seed=Control(seconds=1.0))
    state = state_database(platform)
    variables = {name: value for name, value in platform.environment().items() if name not in _DEFAULTS}
    variables |= {"RESETD_DATABASE_URL": state, "RESETD_BACKUP_URL": (directory / "backups").as_uri()}
    daemons = [DaemonProcess(directory / name, variables) for name in ("one", "other")]
    publisher = Publisher(platform.bootstrap)
    try:
        for daemon in daemons:
            daemon.start()
            daemon.wait_ready(within=_WITHIN)
        return [one_round(platform, publisher, daemons, state, number + 1) for number in range(rounds)]
    finally:
        for daemon in daemons:
            daemon.kill()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10))
