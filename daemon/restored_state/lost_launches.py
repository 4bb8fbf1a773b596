"""Commands that a lost state launched and the restored one has no record of.

The restored state holds no locks for them, so the engine would wait for none of them. A command that has not started is
given up. One that started has to have ended before the state is adopted. Where Kubernetes answers and knows nothing of
it, a person has to say.
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

_LOOKS_AT_ONCE = 8


@dataclass(frozen=True)
class LostLaunch:
    """A launch whose command may still run."""

    launch: Launch
    why: str
    """Why that is believed, for people: follows the attempt's id in a sentence."""
    untold: bool
    """Whether the cluster answers and knows nothing of the command: only a person can say that it has ended."""


class StillAtWorkError(Exception):
    """What was launched may still run. A reset that starts now would run beside it."""

    def __init__(self, launches: Sequence[LostLaunch]) -> None:
        super().__init__("; ".join(f"{each.launch.attempt} {each.why}" for each in launches))
        self.launches = tuple(launches)


async def find_lost_launches(pods: Pods, launches: Sequence[Launch]) -> tuple[LostLaunch, ...]:
    """The launches that are not shown to have ended, in their order. What has not started gets a tombstone.

    Database sessions are a person's to look at: whose they are is only told by the plan, which is lost.
    """
    search = _Search(pods)
    found = await asyncio.gather(*(search.look(each, each.control) for each in launches if each.control))
    return tuple(each for each in found if each is not None)


class _Search:
    """Looks at `_LOOKS_AT_ONCE` launches at one time. A cluster that does not answer is asked once."""

    def __init__(self, pods: Pods) -> None:
        self._pods = pods
        self._slots = asyncio.Semaphore(_LOOKS_AT_ONCE)
        self._away: str | None = None

    async def look(self, launch: Launch, control: Control) -> LostLaunch | None:
        """Why the command may still run; None: it has ended, or will never start."""
        where = f"{control.pod} of {control.environment}"
        async with self._slots:
            if self._away is not None:
                return LostLaunch(launch, f"can't be looked at in {where}: {self._away}", untold=False)
            try:
                fate = (await self._pods.fate(control)).fate
            except PortError as error:
                if error.reason is Reason.KUBERNETES_UNREACHABLE:
                    self._away = error.detail
                return LostLaunch(launch, f"can't be looked at in {where}: {error.detail}", untold=False)
            if fate is Fate.TERMINATED:
                return None
            if fate is Fate.UNKNOWN:
                return LostLaunch(launch, f"ran in {where}, which Kubernetes knows nothing of", untold=True)
            return await self._in_its_container(launch, control, where)

    async def _in_its_container(self, launch: Launch, control: Control, where: str) -> LostLaunch | None:
        try:
            if await self._pods.give_up(control) is Tombstone.PLACED:
                return None
            if await self._pods.gone(control, launch.attempt):
                return None
        except PortError as error:
            why = f"can't be looked at in {where}, whose end would be its end: {error.detail}"
            return LostLaunch(launch, why, untold=False)
        return LostLaunch(launch, f"still runs in {where}", untold=False)
