"""Commands that nobody keeps account of any more: launched by resets that the state lost with its newer rows.

A reset that the state does not know has no locks and no attempts here, so nothing of the engine would wait for its
commands. They are given up where they did not start; one that did has to have ended before the state is adopted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.ports.errors import PortError
from daemon.ports.pods import Claim, Fate, Pods
from schemas.marks import Launch


@dataclass(frozen=True)
class Stray:
    """A launch that may still be at work, and why that is believed."""

    launch: Launch
    why: str


class StillAtWorkError(Exception):
    """Commands of lost resets may still run: a reset that starts now would run beside them."""

    def __init__(self, strays: Sequence[Stray]) -> None:
        super().__init__("; ".join(f"{one.launch.attempt} {one.why}" for one in strays))
        self.strays = tuple(strays)


async def find_strays(pods: Pods, launches: Sequence[Launch]) -> tuple[Stray, ...]:
    """Those of the launches that may still run, in their order. Who has not started never will after this.

    Where Kubernetes has no trace of a container any more, the person who adopts is all that can be asked.
    """
    found = [Stray(launch, why) for launch in launches if (why := await _at_work(pods, launch))]
    return tuple(found)


async def _at_work(pods: Pods, launch: Launch) -> str | None:
    control = launch.control
    if control is None:
        return None
    where = f"in {control.pod} of {control.environment}"
    try:
        if await pods.give_up(control) is Claim.GIVEN_UP or await pods.gone(control, launch.attempt):
            return None
    except PortError as error:
        try:
            fate = (await pods.fate(control)).fate
        except PortError:
            return f"can't be looked at {where}: {error.detail}"
        return f"can't be looked at {where}: {error.detail}" if fate is Fate.RUNNING else None
    return f"still runs {where}"
