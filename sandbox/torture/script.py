"""What happens in one round, from a seed: the same seed and round give the same script. Pure.

Times are seconds since the round began. What a daemon is in the middle of at a time is chance; what is asked, done to
it and when, is not.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from enum import StrEnum

from sandbox.faults import Fault, FaultKind
from sandbox.faults.kinds import CONDITIONS, EXEC, GITHUB, IMPOSTORS, STATE, STRIKES
from schemas.requests import Mode, Option

BLOCK = 10
"""Rounds in a row that share a state database and its daemons."""
IN_COMMANDS = STRIKES | CONDITIONS
"""Faults that happen to a container while a command runs in it, so that it has to run for a while."""
FAULTS = 3
"""Faults that are armed in each round."""
_SECONDS: Mapping[FaultKind, tuple[float, ...]] = {
    FaultKind.EXEC_HANDSHAKE_HUNG: (1.0, 3.0),
    FaultKind.EXEC_HALF_OPEN: (1.0, 3.0),
    FaultKind.EXEC_BEGINS_LATE: (3.0, 6.0),
    FaultKind.POSTGRES_LOCK_HELD: (1.0, 2.0, 2.0, 12.0),
    FaultKind.API_SERVER_RESTARTED: (0.0, 1.0),
    FaultKind.KAFKA_DOWN: (0.5, 2.0),
}
"""How long a fault lasts, where its usual time is longer than a round needs; Prisma's 10 s are outlasted at times."""
_PRISMA = ("los-core-api", "los-integrations", "sequence-builder-api", "ui-builder-api")
"""Services whose migrations wait for Prisma's lock."""
SERVICES = ("los-core-api", "los-integrations", "sequence-builder-api", "ui-builder-api", "workflow-api")
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


def block_of(seed: str, round_: int, *, defect: str | None = None) -> Block:
    """The block that a round belongs to."""
    chance = random.Random(f"{seed}/{round_ // BLOCK}")  # noqa: S311 - to be repeated, not to be secret
    if defect in _WANTS_REPLICAS:
        return Block(State.POSTGRESQL, 2)
    return chance.choice((Block(State.SQLITE, 1), Block(State.POSTGRESQL, 2), Block(State.POSTGRESQL, 1)))


_WANTS_REPLICAS = frozenset({"drop-compare-and-set", "skip-tombstone"})
"""Defects that only a second daemon can bring to light."""


def write(
    seed: str, round_: int, environments: Sequence[str], block: Block, kinds: Sequence[FaultKind] = ()
) -> Script:
    """The script of one round; faults are of `kinds`, each of which comes equally often."""
    chance = random.Random(f"{seed}:{round_}")  # noqa: S311 - to be repeated, not to be secret
    asks = _asks(chance, f"{seed}:{round_}", environments)
    events: list[Event] = [
        Do(chance.uniform(0.3, 3.0), one.tag, "cancel", http=chance.random() < 1 / 2)
        for one in asks
        if one.readable and not one.dry_run and chance.random() < 1 / 5
    ]
    kills = [_kill(chance, block) for _ in range(chance.choice((1, 1, 1, 2, 2, 3)))]
    sleepers = _sleepers(chance, asks, block) if block.replicas > 1 else []
    # A kill would wake who sleeps with a launch in hand, and the start after it knows of no mishap.
    events += sleepers if any(isinstance(one, Kill) for one in sleepers) else [*kills, *sleepers]
    cut = chance.random() < 1 / 3
    if cut:
        events.append(Cut(chance.uniform(0.3, 3.0)))
    armed = _faults(chance, seed, round_, asks, kinds, block)
    asks = [_met(one, armed) for one in asks]
    events += [*asks, *armed]
    late = {one.fault.environment for one in armed if one.fault.kind is FaultKind.EXEC_BEGINS_LATE}
    if late and chance.random() < 2 / 3:
        # Nothing has claimed the attempt when it is given up, and yet its launch is on its way.
        events += [
            Do(0.0, one.tag, "cancel", when=When.LATE)
            for one in asks
            if one.environment in late and one.readable and not one.dry_run
        ]
    failing = tuple(
        (one.environment, one.services[0]) for one in asks if one.services and chance.random() < 1 / 8
    )
    return Script(
        f"{seed}:{round_}",
        tuple(sorted(events, key=lambda one: one.at)),
        failing,
        slow=_slow(chance, _kinds(armed), cut=cut),
        more=_more(asks, armed),
    )


def _slow(chance: random.Random, kinds: AbstractSet[FaultKind], *, cut: bool) -> float:
    if kinds & IN_COMMANDS:
        return 1.0
    # What happens to a stream is of interest while its command runs.
    return chance.choice((0.02, 0.3, 1.0) if cut or kinds & EXEC else (0.02, 0.02, 0.02, 0.3, 1.0))


def _sleepers(chance: random.Random, asks: Sequence[Ask], block: Block) -> list[Event]:
    """Daemons that sleep past their lease: at any moment, or with an attempt recorded and its launch in hand."""
    kind = chance.random()
    if kind < 1 / 3:
        late = chance.choice((chance.uniform(0.2, 1.0), chance.uniform(1.0, 5.0)))
        return [Stop(chance.uniform(0.5, 4.0), chance.choice((None, 0, 1)), late)]
    if kind > 2 / 3:
        return []
    when = chance.choice(("before", "after", "after"))
    # A commit that tells something finds its place in the history taken; of the others any may be the one.
    which = chance.choice(("launch", "launch", *map(str, range(2, 12, 5))))
    events: list[Event] = [Kill(0.0, number, f"stop:{when}:{which}") for number in range(block.replicas)]
    if chance.random() < 1 / 2:
        # Whoever takes over gives the attempt up, and then the sleeper wakes.
        events += [
            Do(0.5, one.tag, "cancel", when=When.ASLEEP) for one in asks if one.readable and not one.dry_run
        ]
    return events


def _asks(chance: random.Random, name: str, environments: Sequence[str]) -> list[Ask]:
    asks = [
        _ask(chance, f"{name}#{number}", chance.choice(list(environments)))
        for number in range(chance.choice((1, 1, 2, 2, 3)))
    ]
    if chance.random() < 1 / 10:
        asks.append(Ask(0.0, f"{name}#x", chance.choice(list(environments)), readable=False))
    return asks


def _ask(chance: random.Random, tag: str, environment: str) -> Ask:
    mode = chance.choice((Mode.SEED, Mode.SEED, Mode.SEED, Mode.REFRESH, Mode.WIPE))
    services = tuple(chance.sample(SERVICES, chance.choice((1, 1, 1, 2))))
    mock = "los-core-api" in services and chance.random() < 1 / 2
    http = chance.random() < 1 / 2
    return Ask(
        at=chance.uniform(0.0, 0.4),
        tag=tag,
        environment=environment,
        mode=mode,
        services=services,
        options=(Option.MOCK,) if mock else (),
        git=chance.random() < 1 / 3,
        dry_run=chance.random() < 1 / 20,
        http=http,
        copies=1 if http else chance.choice((1, 1, 2, 3)),
    )


def _faults(
    chance: random.Random,
    seed: str,
    round_: int,
    asks: Sequence[Ask],
    kinds: Sequence[FaultKind],
    block: Block,
) -> list[Arm]:
    """The next ones of a deck that is shuffled whenever it is through; SQLite is spared what happens to a server."""
    armed: list[Arm] = []
    deck = sorted(kinds)
    for place in range(round_ * FAULTS, (round_ + 1) * FAULTS) if kinds else ():
        random.Random(f"{seed}/{place // len(deck)}").shuffle(ordered := [*deck])  # noqa: S311 - to be repeated
        kind = ordered[place % len(deck)]
        if kind in STATE and block.state is not State.POSTGRESQL:
            continue
        where = chance.choice([one for one in asks if one.readable])
        service = chance.choice((None, *where.services)) if kind in _IN_A_SERVICE else None
        seconds = chance.choice(_SECONDS[kind]) if kind in _SECONDS else None
        at = 0.0 if kind in _LIE_IN_WAIT else chance.uniform(0.0, 4.0 if kind in EXEC else 1.0)
        armed.append(Arm(at, Fault(kind, where.environment, service, seconds=seconds)))
    return armed


_IN_A_SERVICE = EXEC | STRIKES | CONDITIONS | IMPOSTORS
"""Kinds that may be meant for one service of a request."""
_LIE_IN_WAIT = frozenset({FaultKind.KAFKA_DUPLICATE_DELIVERY, FaultKind.POSTGRES_LOCK_HELD})
"""Kinds that have to be in place before the request comes."""


def _kinds(armed: Sequence[Arm]) -> set[FaultKind]:
    return {one.fault.kind for one in armed}


def _met(ask: Ask, armed: Sequence[Arm]) -> Ask:
    """The request, such that it comes to what the faults in its environment are meant for."""
    kinds = _kinds([one for one in armed if one.fault.environment == ask.environment])
    if not kinds or not ask.readable:
        return ask
    if FaultKind.POSTGRES_LOCK_HELD in kinds:
        mode = Mode.REFRESH if ask.mode is Mode.SEED else ask.mode
        services = ask.services if {*ask.services} & {*_PRISMA} else (*ask.services, _PRISMA[-1])
        ask = replace(ask, mode=mode, services=services)
    if FaultKind.KAFKA_DUPLICATE_DELIVERY in kinds:
        ask = replace(ask, http=False)
    return replace(ask, git=ask.git or bool(kinds & GITHUB), dry_run=False)


def _more(asks: Sequence[Ask], armed: Sequence[Arm]) -> tuple[Ask, ...]:
    """Two more requests in each environment in which faults were armed."""
    places = {one.fault.environment for one in armed}
    wanted = {one.environment: one for one in asks if one.readable and one.environment in places}
    return tuple(
        replace(one, at=0.0, tag=f"{one.tag}+{again}", copies=1)
        for again in (1, 2)
        for one in wanted.values()
    )


def _kill(chance: random.Random, block: Block) -> Kill:
    at, daemon = chance.uniform(0.1, 4.0), chance.randrange(block.replicas)
    if chance.random() < 1 / 2:
        return Kill(at, daemon)
    when = chance.choice(("before", "after"))
    which = chance.choice(("launch", *map(str, range(1, 12))))
    return Kill(at, daemon, f"kill:{when}:{which}")
