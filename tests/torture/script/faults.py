"""Which faults a round has, and requests such that they hit. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sandbox.faults import Fault, FaultKind
from sandbox.faults.kinds import CONTAINER_FAULTS, EXEC, GITHUB, IMPOSTORS, POD_DISRUPTIONS, STATE
from schemas.requests import Mode
from tests.torture.script.script import Arm, Ask, Block, State

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
_IN_COMMANDS = POD_DISRUPTIONS | CONTAINER_FAULTS
"""Faults that happen to a container while a command runs in it, so that it has to run for a while."""
_IN_A_SERVICE = EXEC | POD_DISRUPTIONS | CONTAINER_FAULTS | IMPOSTORS
"""Kinds that may be meant for one service of a request."""
_LIE_IN_WAIT = frozenset({FaultKind.KAFKA_DUPLICATE_DELIVERY, FaultKind.POSTGRES_LOCK_HELD})
"""Kinds that have to be in place before the request comes."""


def deal(
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


def _kinds(armed: Sequence[Arm]) -> set[FaultKind]:
    return {one.fault.kind for one in armed}


def met(ask: Ask, armed: Sequence[Arm]) -> Ask:
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


def more(asks: Sequence[Ask], armed: Sequence[Arm]) -> tuple[Ask, ...]:
    """Two more requests in each environment in which faults were armed."""
    places = {one.fault.environment for one in armed}
    wanted = {one.environment: one for one in asks if one.readable and one.environment in places}
    return tuple(
        replace(one, at=0.0, tag=f"{one.tag}+{again}", copies=1)
        for again in (1, 2)
        for one in wanted.values()
    )


def slow(chance: random.Random, armed: Sequence[Arm], *, cut: bool) -> float:
    """Seconds that each seed takes; `cut`: streams are cut in the round."""
    kinds = _kinds(armed)
    if kinds & _IN_COMMANDS:
        return 1.0
    # What happens to a stream is of interest while its command runs.
    return chance.choice((0.02, 0.3, 1.0) if cut or kinds & EXEC else (0.02, 0.02, 0.02, 0.3, 1.0))
