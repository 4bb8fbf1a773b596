"""Commands that nobody keeps account of any more: launched by a state that was lost, unknown to the one that is left.

That one may hold no locks for them, so nothing of the engine would wait for them. They are given up where they did not
start; one that did has to have ended before the state is adopted. Where Kubernetes was asked and can't tell, a person
has to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from daemon.ports.errors import PortError
from daemon.ports.pods.commands import Fate, Tombstone
from daemon.ports.pods.pods import Pods
from schemas.marks import Launch
from schemas.reasons import Reason
from schemas.resets import Control

_AT_ONCE = 8


@dataclass(frozen=True)
class Stray:
    """A launch that may still be at work, why that is believed, and whether Kubernetes has said all that it can."""

    launch: Launch
    why: str
    untold: bool
    """Whether the cluster answers, and knows nothing of it: a person's word is all that there can be."""


class StillAtWorkError(Exception):
    """What was launched may still run: a reset that starts now would run beside it."""

    def __init__(self, strays: Sequence[Stray]) -> None:
        super().__init__("; ".join(f"{one.launch.attempt} {one.why}" for one in strays))
        self.strays = tuple(strays)


async def find_strays(pods: Pods, launches: Sequence[Launch]) -> tuple[Stray, ...]:
    """Those of the launches that are not shown to have ended, in their order. Who has not started never will.

    Their database sessions are not looked at: whose they are went with the plan.
    """
    looks = _Looks(pods)
    found = await asyncio.gather(*(looks.at(one, one.control) for one in launches if one.control))
    return tuple(one for one in found if one is not None)


class _Looks:
    """At most so many at once; once the cluster does not answer, nobody else waits for it."""

    def __init__(self, pods: Pods) -> None:
        self._pods = pods
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._away: str | None = None

    async def at(self, launch: Launch, control: Control) -> Stray | None:
        """What is wrong with it; None: it has ended, or never will start."""
        where = f"{control.pod} of {control.environment}"
        async with self._turns:
            if self._away is not None:
                return Stray(launch, f"can't be looked at in {where}: {self._away}", untold=False)
            try:
                fate = (await self._pods.fate(control)).fate
            except PortError as error:
                if error.reason is Reason.KUBERNETES_UNREACHABLE:
                    self._away = error.detail
                return Stray(launch, f"can't be looked at in {where}: {error.detail}", untold=False)
            if fate is Fate.TERMINATED:
                return None
            if fate is Fate.UNKNOWN:
                return Stray(launch, f"ran in {where}, which Kubernetes knows nothing of", untold=True)
            return await self._in_its_container(launch, control, where)

    async def _in_its_container(self, launch: Launch, control: Control, where: str) -> Stray | None:
        try:
            if await self._pods.give_up(control) is Tombstone.PLACED:
                return None
            if await self._pods.gone(control, launch.attempt):
                return None
        except PortError as error:
            why = f"can't be looked at in {where}, whose end would be its end: {error.detail}"
            return Stray(launch, why, untold=False)
        return Stray(launch, f"still runs in {where}", untold=False)
