"""The shapes of a script, which says what happens in one round. `generator` makes one from a seed.

Times are seconds since the round began. The script fixes what is asked, what is done to daemons, and when; what a
daemon is doing at that time is chance.
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
    """The kinds of databases in which daemons keep their state."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


@dataclass(frozen=True)
class Block:
    """What the rounds of a block share: the kind of state, the number of daemons, and how much they may read."""

    state: State
    replicas: int
    outages: float = 1 / 4
    """In which part of the rounds a protected environment can't be read whole."""


@dataclass(frozen=True)
class Ask:
    """Make a request. `copies`: how often the same event is published. `readable` False: the bytes are no event."""

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
    by: str = "operator"
    """Whose token a request by HTTP comes with. A request by Kafka only claims a name."""


class When(StrEnum):
    """The moment that an act waits for, once the reset is there; when it does not come, the act is left out."""

    ASLEEP = "asleep"
    """A daemon sleeps."""
    LATE = "late"
    """A launch was accepted and has not begun (`exec-begins-late`)."""


@dataclass(frozen=True)
class Do:
    """Act on the reset of a request, once the reset is there and the moment `when` has come."""

    at: float
    tag: str
    act: str
    http: bool = True
    when: When | None = None


@dataclass(frozen=True)
class Kill:
    """Kill a daemon (SIGKILL) and start it again at once, unless it is to stay down for the round.

    `daemon` None: the daemon that drives a reset. `mishap`: the failpoint of the daemon that is started (`failpoints`).
    """

    at: float
    daemon: int | None
    mishap: str | None = None
    stay_down: bool = False


@dataclass(frozen=True)
class Stop:
    """Send a daemon SIGSTOP, and SIGCONT `late` seconds after its leases are over.

    `daemon` None: the daemon that drives a reset.
    """

    at: float
    daemon: int | None
    late: float


@dataclass(frozen=True)
class Cut:
    """Cut every open exec, as soon as a command runs."""

    at: float


@dataclass(frozen=True)
class Arm:
    """Arm a fault of the platform, which hits when the daemons come to what it is meant for."""

    at: float
    fault: Fault


class Gone(StrEnum):
    """How a service can't be asked what it uses."""

    SCALED = "scaled"
    """It has no pod."""
    UNSEEN = "unseen"
    """There is nothing of it: neither a workload nor a pod."""


@dataclass(frozen=True)
class Outage:
    """Take a service of an environment away until the events are over. Nothing heals it meanwhile."""

    at: float
    environment: str
    service: str
    gone: Gone


class Subject(StrEnum):
    """What of the service a word is about."""

    ENVIRONMENT = "environment"
    """All that its environment uses."""
    SERVICE = "service"
    DATABASE = "database"
    KEY = "key"
    """The database as it is known to the server."""


class Uses(StrEnum):
    """What a word to confirm says is in use. It never lies."""

    REMEMBERED = "remembered"
    """What the daemon remembers."""
    TRUE = "true"
    """What the service really uses."""


@dataclass(frozen=True)
class Say:
    """Give a word about a service of the protected environment, which lasts so many seconds.

    `withdrawn_after`: the seconds after which it is taken back; None: it is not.
    """

    at: float
    by: str
    verb: str
    service: str
    subject: Subject
    uses: Uses
    lasts: float
    withdrawn_after: float | None = None


Event = Ask | Do | Kill | Stop | Cut | Arm | Outage | Say


@dataclass(frozen=True)
class Again:
    """How the operator goes on with resets that stopped."""

    cancelled: bool = False
    """Whether with those, too, that were cancelled after they had destroyed something."""
    replan: bool = False
    """Whether by a new plan, where the first resume did not help."""


@dataclass(frozen=True)
class Script:
    """What happens in a round. `failing` are (environment, service) whose seed fails until the events are over."""

    seed: str
    events: tuple[Event, ...]
    failing: tuple[tuple[str, str], ...] = ()
    silent: tuple[tuple[str, str], ...] = ()
    """(environment, service) whose seed leaves a table empty in this round, ends with 0 and says nothing of it."""
    slow: float = 0.02
    """The seconds that each seed takes."""
    more: tuple[Ask, ...] = ()
    """Further requests, made one after the other while all is at rest and armed faults have not hit yet."""
    again: Again = Again()

    @property
    def asks(self) -> tuple[Ask, ...]:
        """The requests of the script."""
        return tuple(event for event in self.events if isinstance(event, Ask))

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults that the script arms."""
        return tuple(event.fault for event in self.events if isinstance(event, Arm))
