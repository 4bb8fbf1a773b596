"""A daemon that sleeps past its lease while another one goes on, and a daemon that dies while another takes over.

Both run on PostgreSQL with two daemons and one reset at a time, so it is known which daemon has to do what. A sleeper
that wakes finds that the other daemon has its reset, and must neither launch nor write anything. After a death the
other daemon must go on soon.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sandbox.platform.platform import Platform
from schemas.requests import Mode
from tests.torture.daemons.zygote import Zygote
from tests.torture.figures import Figures
from tests.torture.judge.evidence import Evidence
from tests.torture.judge.finding import Finding
from tests.torture.judge.judge import judge
from tests.torture.rounds import Round
from tests.torture.script.script import Ask, Block, Kill, Script, State, Stop
from tests.torture.stand.gatherer import Gatherer
from tests.torture.stand.stand import Stand, stand

ENVIRONMENT = "qa-sandbox"
_SERVICES = ("sequence-builder-api", "ui-builder-api")
_TWO = Block(State.POSTGRESQL, 2)
_DEFAULTS = {"RESETD_LEASE_TTL": "6s", "RESETD_KAFKA_SESSION_TIMEOUT": "10s"}
_WORK = ("driver.state", "step.attempt-ended")
Say = Callable[[str], None]


class Sleepers:
    """Sleeping and dying daemons on one platform."""

    def __init__(self, platform: Platform, zygote: Zygote, directory: Path, *, say: Say = print) -> None:
        self._platform = platform
        self._zygote = zygote
        self._directory = directory
        self._say = say

    def sleep(self, seed: str, count: int) -> Figures:
        """Judge so many sleepers that slept while they drove a reset."""
        figures = Figures()
        with self._stand("sleepers", {}) as (here, gatherer):
            number = 0
            while figures.rounds < count:
                chance = random.Random(f"{seed}/sleeper/{number}")  # noqa: S311 - to be repeated
                stop = Stop(chance.uniform(0.5, 3.0), None, chance.uniform(0.2, 3.0))
                number += 1
                before = len(here.wakes)
                evidence = self._play(here, gatherer, f"sleeper {number}", stop)
                wakes = here.wakes[before:]
                if not any(_drove(here, daemon, slept, evidence) for daemon, slept, _ in wakes):
                    continue  # it drove no reset when it slept
                verdict = judge(evidence)
                for daemon, _, woke in wakes:
                    verdict.findings += _written(here, daemon, woke, evidence)
                figures.take(f"sleeper {number}", verdict)
                self._say(
                    f"{figures.rounds} of {count}: {[finding.text for finding in verdict.findings] or 'nothing'}"
                )
            figures.stops = here.counts.stops
        return figures

    def fail_over(self, count: int) -> list[float]:
        """Measure the seconds from the SIGKILL of a driving daemon to the next command that the other one launches."""
        seconds: list[float] = []
        with self._stand("failover", _DEFAULTS) as (here, gatherer):
            for number in range(count):
                kill = Kill(2.5, None, stay_down=True)
                evidence = self._play(here, gatherer, f"failover {number}", kill)
                for died in here.deaths[number:]:
                    later = [
                        launch.started_at
                        for launch in evidence.launches
                        if launch.attempt and launch.started_at > died
                    ]
                    seconds.append(min(later, default=float("inf")) - died)
                self._say(f"failover {number}: {seconds[-1]:.1f} s")
                here.start_again()
        return seconds

    def _play(self, here: Stand, gatherer: Gatherer, name: str, event: Stop | Kill) -> Evidence:
        ask = Ask(0.0, name, ENVIRONMENT, Mode.SEED, _SERVICES, http=True)
        return Round(here, gatherer, Script(name, (ask, event), slow=1.0)).play()

    @contextmanager
    def _stand(self, name: str, settings: dict[str, str]) -> Iterator[tuple[Stand, Gatherer]]:
        directory = self._directory / f"{name}-{time.monotonic_ns()}"
        with stand(self._platform, self._zygote, directory, _TWO, settings=settings) as here:
            gatherer = Gatherer(here)
            try:
                yield here, gatherer
            finally:
                gatherer.close()


class _Line(NamedTuple):
    """A line of a daemon's log about its work on a reset."""

    at: str
    event: str
    reset: str
    state: str | None
    """The state of the reset, if the line tells it."""


def _said(here: Stand, daemon: int, evidence: Evidence) -> list[_Line]:
    """The lines of a daemon's log about its work on these resets."""
    lines = here.daemons[daemon].log.read_text(errors="replace").splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    return [
        _Line(entry["timestamp"], entry["event"], entry["reset"], entry.get("state"))
        for entry in told
        if entry["event"] in _WORK and entry.get("reset") in evidence.resets
    ]


def _drove(here: Stand, daemon: int, slept: str, evidence: Evidence) -> bool:
    """Whether a daemon was at work when it fell asleep, and the other one went on."""
    mine = [line for line in _said(here, daemon, evidence) if line.at <= slept]
    others = [line for line in _said(here, 1 - daemon, evidence) if line.at > slept]
    return bool(mine) and bool(others)


def _written(here: Stand, daemon: int, woke: str, evidence: Evidence) -> list[Finding]:
    """Find what a sleeper did, after it woke, to a reset that the other daemon has.

    A daemon that fell asleep while its commit was on the way hears the answer when it wakes, and logs the state that
    the commit led to. That is no finding: the commit was made before the sleep, so the other daemon found the reset in
    that state before.
    """
    found = {
        (line.reset, line.state)
        for line in _said(here, 1 - daemon, evidence)
        if line.state and line.at < woke
    }
    return [
        Finding("woken", f"daemon {daemon} woke at {woke} and said {line.event} at {line.at}")
        for line in _said(here, daemon, evidence)
        if line.at > woke and (line.reset, line.state) not in found
    ]
