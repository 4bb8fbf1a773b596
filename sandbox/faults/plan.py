"""Faults from a seed: the same arguments give the same faults."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from sandbox.faults.fault import Fault
from sandbox.faults.kinds import FaultKind


def plan(
    seed: int,
    rounds: int,
    kinds: Iterable[FaultKind],
    environments: Sequence[str],
    services: Sequence[str],
) -> tuple[Fault, ...]:
    """Make one fault for each round, in order; the numbers of two kinds differ by one at most.

    Half of the faults name an environment, and half of those a service too, so a plan has narrow and wide faults.
    Where `environments` or `services` is empty, faults name none.

    Raises:
        ValueError: `kinds` is empty.
    """
    every = sorted(set(kinds))
    if not every:
        raise ValueError("a plan needs kinds of faults")
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    faults: list[Fault] = []
    while len(faults) < rounds:
        chance.shuffle(every)
        faults += [_fault(chance, kind, environments, services) for kind in every]
    return tuple(faults[:rounds])


def _fault(
    chance: random.Random, kind: FaultKind, environments: Sequence[str], services: Sequence[str]
) -> Fault:
    environment = chance.choice(environments) if environments and chance.random() < 1 / 2 else None
    service = chance.choice(services) if environment and services and chance.random() < 1 / 2 else None
    return Fault(kind, environment, service, times=chance.choice((1, 1, 1, 2, 3)))
