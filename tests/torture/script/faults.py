"""Chooses the faults of a round, and makes its requests such that the faults hit. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sandbox.faults import Fault, FaultKind
from sandbox.faults.kinds import CONTAINER_FAULTS, EXEC, GITHUB, IMPOSTORS, POD_DISRUPTIONS, STATE
from schemas.requests import Mode
from tests.torture.script.script import Arm, Ask, Block, State

FAULTS = 3
"""The number of faults that are armed in each round."""
_SECONDS: Mapping[FaultKind, tuple[float, ...]] = {
    FaultKind.EXEC_HANDSHAKE_HUNG: (1.0, 3.0),
    FaultKind.EXEC_HALF_OPEN: (1.0, 3.0),
    FaultKind.EXEC_BEGINS_LATE: (3.0, 6.0),
    FaultKind.POSTGRES_LOCK_HELD: (1.0, 2.0, 2.0, 12.0),
    FaultKind.API_SERVER_RESTARTED: (0.0, 1.0),
    FaultKind.KAFKA_DOWN: (0.5, 2.0),
}
"""How long a fault lasts, where its usual time is longer than a round needs. Some outlast Prisma's 10 s."""
_PRISMA = ("los-core-api", "los-integrations", "sequence-builder-api", "ui-builder-api")
"""The services whose migrations wait for Prisma's lock."""
_IN_COMMANDS = POD_DISRUPTIONS | CONTAINER_FAULTS
"""Faults that happen to a container while a command runs in it, so commands have to run for a while."""
_IN_A_SERVICE = EXEC | POD_DISRUPTIONS | CONTAINER_FAULTS | IMPOSTORS
"""Kinds of faults that may be meant for one service of a request."""
_IN_PLACE_FIRST = frozenset({FaultKind.KAFKA_DUPLICATE_DELIVERY, FaultKind.POSTGRES_LOCK_HELD})
"""Kinds of faults that have to be in place before the request comes."""


def choose(
    chance: random.Random,
    seed: str,
    round_: int,
    asks: Sequence[Ask],
    kinds: Sequence[FaultKind],
    block: Block,
) -> list[Arm]:
    """Choose the faults of a round: the next ones of a deck of all kinds, which is shuffled whenever it is through.

    State in SQLite has no server, so rounds with it leave out the faults of one.
    """
    armed: list[Arm] = []
    deck = sorted(kinds)
    for place in range(round_ * FAULTS, (round_ + 1) * FAULTS) if kinds else ():
        random.Random(f"{seed}/{place // len(deck)}").shuffle(ordered := [*deck])  # noqa: S311 - to be repeated
        kind = ordered[place % len(deck)]
        if kind in STATE and block.state is not State.POSTGRESQL:
            continue
        where = chance.choice([ask for ask in asks if ask.readable])
        service = chance.choice((None, *where.services)) if kind in _IN_A_SERVICE else None
        seconds = chance.choice(_SECONDS[kind]) if kind in _SECONDS else None
        at = 0.0 if kind in _IN_PLACE_FIRST else chance.uniform(0.0, 4.0 if kind in EXEC else 1.0)
        armed.append(Arm(at, Fault(kind, where.environment, service, seconds=seconds)))
    return armed


def _kinds(armed: Sequence[Arm]) -> set[FaultKind]:
    return {arm.fault.kind for arm in armed}


def fit(ask: Ask, armed: Sequence[Arm]) -> Ask:
    """Change a request such that it comes to what the faults in its environment are meant for."""
    kinds = _kinds([arm for arm in armed if arm.fault.environment == ask.environment])
    if not kinds or not ask.readable:
        return ask
    if FaultKind.POSTGRES_LOCK_HELD in kinds:
        mode = Mode.REFRESH if ask.mode is Mode.SEED else ask.mode
        services = ask.services if {*ask.services} & {*_PRISMA} else (*ask.services, _PRISMA[-1])
        ask = replace(ask, mode=mode, services=services)
    if FaultKind.KAFKA_DUPLICATE_DELIVERY in kinds:
        ask = replace(ask, http=False)
    return replace(ask, git=ask.git or bool(kinds & GITHUB), dry_run=False)


def further_requests(asks: Sequence[Ask], armed: Sequence[Arm]) -> tuple[Ask, ...]:
    """Make two further requests for each environment in which faults are armed."""
    places = {arm.fault.environment for arm in armed}
    wanted = {ask.environment: ask for ask in asks if ask.readable and ask.environment in places}
    return tuple(
        replace(ask, at=0.0, tag=f"{ask.tag}+{again}", copies=1)
        for again in (1, 2)
        for ask in wanted.values()
    )


def seed_seconds(chance: random.Random, armed: Sequence[Arm], *, cut: bool) -> float:
    """Choose the seconds that each seed takes; `cut`: streams are cut in the round."""
    kinds = _kinds(armed)
    if kinds & _IN_COMMANDS:
        return 1.0
    # A fault of a stream matters while the stream's command runs.
    return chance.choice((0.02, 0.3, 1.0) if cut or kinds & EXEC else (0.02, 0.02, 0.02, 0.3, 1.0))
