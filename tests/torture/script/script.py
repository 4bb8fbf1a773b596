"""What happens in one round: its shapes. `writing` makes one from a seed.

Times are seconds since the round began. What a daemon is in the middle of at a time is chance; what is asked, done to
it and when, is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sandbox.faults import Fault
from schemas.requests import Mode, Option

SEEDS = {
    "data-builder-api": "db:seed:data-builder",
    "los-core-api": "seed:system",
    "los-integrations": "seed:sync",
    "sequence-builder-api": "seed",
    "ui-builder-api": "seed",
    "workflow-api": "seed",
}
"""The npm script that seeds each service in mode `seed`."""


class State(StrEnum):
    """Where the daemons keep their state."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


@dataclass(frozen=True)
class Block:
    """What a few rounds share."""

    state: State
    replicas: int


@dataclass(frozen=True)
class Ask:
    """A request. `copies`: how often the same event is published. `readable` False: bytes that are no event."""

    at: float
    tag: str
    environment: str
    mode: Mode = Mode.SEED
    services: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    git: bool = False
    dry_run: bool = False
    http: bool = False
    copies: int = 1
    readable: bool = True


class When(StrEnum):
    """What an act waits for beside the reset; where that does not come, it is left out."""

    ASLEEP = "asleep"
    """A daemon sleeps."""
    LATE = "late"
    """A launch was accepted and has not begun (`exec-begins-late`)."""


@dataclass(frozen=True)
class Do:
    """An act on the reset of a request, as soon as the reset is there, and `when`."""

    at: float
    tag: str
    act: str
    http: bool = True
    when: When | None = None


@dataclass(frozen=True)
class Kill:
    """SIGKILL of a daemon, which is started again at once, unless it is to stay down for the round.

    `daemon` None: the one that drives a reset. `mishap`: what happens to it at a commit (`mishaps`).
    """

    at: float
    daemon: int | None
    mishap: str | None = None
    stay_down: bool = False


@dataclass(frozen=True)
class Stop:
    """SIGSTOP, and SIGCONT once its leases are over and `late` seconds more.

    `daemon` None: the one that drives a reset.
    """

    at: float
    daemon: int | None
    late: float


@dataclass(frozen=True)
class Cut:
    """Every exec that is open is cut, as soon as a command runs."""

    at: float


@dataclass(frozen=True)
class Arm:
    """A fault of the platform; it hits when the daemons come to what it is meant for."""

    at: float
    fault: Fault


Event = Ask | Do | Kill | Stop | Cut | Arm


@dataclass(frozen=True)
class Script:
    """A round. `failing`: (environment, service) whose seed fails until the events are over."""

    seed: str
    events: tuple[Event, ...]
    failing: tuple[tuple[str, str], ...] = ()
    slow: float = 0.02
    """Seconds that each seed takes."""
    more: tuple[Ask, ...] = ()
    """Asked one after the other, once all is at rest, for as long as faults are armed that have not hit."""

    @property
    def asks(self) -> tuple[Ask, ...]:
        """The requests in it."""
        return tuple(one for one in self.events if isinstance(one, Ask))

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What it arms."""
        return tuple(one.fault for one in self.events if isinstance(one, Arm))
