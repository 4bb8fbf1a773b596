"""Makes the script of a round from a seed: the same seed and round give the same script. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from sandbox.faults import FaultKind
from schemas.requests import Mode, Option
from tests.torture.script import faults, protection
from tests.torture.script.people import BEN
from tests.torture.script.script import Again, Ask, Block, Cut, Do, Event, Kill, Script, State, Stop, When

BLOCK = 10
"""The number of rounds in a row that share a state database and its daemons."""
_WIPED_TWICE = (4, 6)
"""The rounds of a block in which a wipe teaches, and in which it finds less than it was taught."""
_TAUGHT = "sequence-builder-api"
"""The service of that wipe. Its seed fills two tables."""
SERVICES = ("los-core-api", "los-integrations", "sequence-builder-api", "ui-builder-api", "workflow-api")


def block_of(seed: str, round_: int, *, defect: str | None = None) -> Block:
    """The block that a round belongs to."""
    chance = random.Random(f"{seed}/{round_ // BLOCK}")  # noqa: S311 - to be repeated, not to be secret
    if defect in _WANTS_REPLICAS:
        return Block(State.POSTGRESQL, 2)
    if defect in _WANTS_OUTAGES:
        return Block(State.SQLITE, 1, outages=1.0)
    return chance.choice((Block(State.SQLITE, 1), Block(State.POSTGRESQL, 2), Block(State.POSTGRESQL, 1)))


_WANTS_REPLICAS = frozenset({"drop-compare-and-set", "skip-tombstone"})
"""The defects that show only with a second daemon."""
_WANTS_OUTAGES = frozenset({"the-unseen-is-nobody", "words-for-ever", "own-words-count", "memory-says-all"})
"""The defects that show only where a protected environment can't be read."""


def write(
    seed: str, round_: int, environments: Sequence[str], block: Block, kinds: Sequence[FaultKind] = ()
) -> Script:
    """Make the script of one round; its faults are of `kinds`, each of which comes equally often over rounds."""
    chance = random.Random(f"{seed}:{round_}")  # noqa: S311 - to be repeated, not to be secret
    asks = _asks(chance, f"{seed}:{round_}", environments)
    events: list[Event] = [
        Do(chance.uniform(0.3, 3.0), ask.tag, "cancel", http=chance.random() < 1 / 2)
        for ask in asks
        if ask.readable and not ask.dry_run and chance.random() < 1 / 5
    ]
    kills = [_kill(chance, block) for _ in range(chance.choice((1, 1, 1, 2, 2, 3)))]
    sleepers = _sleepers(chance, asks, block) if block.replicas > 1 else []
    # A kill would end the sleep of a daemon with a launch in hand, and a daemon that starts has no failpoint.
    events += sleepers if any(isinstance(event, Kill) for event in sleepers) else [*kills, *sleepers]
    cut = chance.random() < 1 / 3
    if cut:
        events.append(Cut(chance.uniform(0.3, 3.0)))
    protected = random.Random(f"{seed}:{round_}/protected")  # noqa: S311 - draws of its own: older rounds stay
    out: list[Event] = []
    wiped_twice = round_ % BLOCK in _WIPED_TWICE
    if protection.PRODUCTION in environments and protected.random() < block.outages and not wiped_twice:
        out, asks = protection.outages(protected, asks)
    asks, silent = _learned(seed, round_, environments, _joined(protected, asks))
    armed = faults.choose(chance, seed, round_, asks, kinds, block)
    asks = [faults.fit(ask, armed) for ask in asks]
    events += [*out, *asks, *armed]
    late = {arm.fault.environment for arm in armed if arm.fault.kind is FaultKind.EXEC_BEGINS_LATE}
    if late and chance.random() < 2 / 3:
        # The attempt is given up while its launch is on the way and has not claimed it yet.
        events += [
            Do(0.0, ask.tag, "cancel", when=When.LATE)
            for ask in asks
            if ask.environment in late and ask.readable and not ask.dry_run
        ]
    failing = tuple(
        (ask.environment, ask.services[0]) for ask in asks if ask.services and chance.random() < 1 / 8
    )
    return Script(
        f"{seed}:{round_}",
        tuple(sorted(events, key=lambda event: event.at)),
        tuple(one for one in failing if one not in silent),
        silent,
        slow=faults.seed_seconds(chance, armed, cut=cut),
        more=faults.further_requests(asks, armed),
        again=Again(cancelled=protected.random() < 1 / 2, replan=protected.random() < 1 / 2),
    )


def _learned(
    seed: str, round_: int, environments: Sequence[str], asks: list[Ask]
) -> tuple[list[Ask], tuple[tuple[str, str], ...]]:
    """Let the same be wiped twice in a block: its tables are learned, and the second time one of them stays empty."""
    if round_ % BLOCK not in _WIPED_TWICE:
        return asks, ()
    chance = random.Random(f"{seed}/{round_ // BLOCK}/learned")  # noqa: S311 - to be repeated, not to be secret
    ask = Ask(0.6, f"{seed}:{round_}#w", chance.choice(list(environments)), Mode.WIPE, (_TAUGHT,), http=True)
    again = round_ % BLOCK == _WIPED_TWICE[-1]
    # Nothing that another request leaves in the table may hide it.
    asks = [replace(ask, services=_others(ask.services)) if again else ask for ask in asks]
    return [*asks, ask], ((ask.environment, _TAUGHT),) if again else ()


def _others(services: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(one for one in services if one != _TAUGHT) or (SERVICES[-1],)


def _joined(chance: random.Random, asks: Sequence[Ask]) -> list[Ask]:
    """Let some requests in environments that need consent be made by an approver, and some be joined by one."""
    made: list[Ask] = []
    for ask in asks:
        mine = ask.environment in protection.PROTECTED and ask.readable
        who = chance.random() if mine else 1.0
        if who < 1 / 6 and ask.http:
            made.append(replace(ask, by=BEN.subject))
        elif who < 1 / 3:
            again = replace(ask, at=ask.at + 0.3, tag=f"{ask.tag}'", http=True, copies=1, by=BEN.subject)
            made += [ask, again]
        else:
            made.append(ask)
    return made


def _sleepers(chance: random.Random, asks: Sequence[Ask], block: Block) -> list[Event]:
    """Choose daemons that sleep past their lease: at any time, or with an attempt recorded and not launched yet."""
    kind = chance.random()
    if kind < 1 / 3:
        late = chance.choice((chance.uniform(0.2, 1.0), chance.uniform(1.0, 5.0)))
        return [Stop(chance.uniform(0.5, 4.0), chance.choice((None, 0, 1)), late)]
    if kind > 2 / 3:
        return []
    when = chance.choice(("before", "after", "after"))
    # A late commit that writes history finds its place taken. Others have no such guard: a number may hit any of them.
    which = chance.choice(("launch", "launch", *map(str, range(2, 12, 5))))
    events: list[Event] = [Kill(0.0, number, f"stop:{when}:{which}") for number in range(block.replicas)]
    if chance.random() < 1 / 2:
        # The daemon that takes over gives the attempt up, and then the sleeper wakes.
        events += [
            Do(0.5, ask.tag, "cancel", when=When.ASLEEP) for ask in asks if ask.readable and not ask.dry_run
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
    # Mock data is refused where a production may see it.
    mock = mock and environment not in protection.PROTECTED
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


def _kill(chance: random.Random, block: Block) -> Kill:
    at, daemon = chance.uniform(0.1, 4.0), chance.randrange(block.replicas)
    if chance.random() < 1 / 2:
        return Kill(at, daemon)
    when = chance.choice(("before", "after"))
    which = chance.choice(("launch", str(chance.randrange(1, 12)), str(chance.randrange(1, 12))))
    return Kill(at, daemon, f"kill:{when}:{which}")
