"""The control of the platform's faults: arm one, take all back, ask how often each kind has really hit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sandbox.faults.armoury import Armoury, Group
from sandbox.faults.fault import Fault
from sandbox.faults.kinds import FaultKind
from sandbox.polling import until

_LIE_IN_WAIT = {FaultKind.POSTGRES_LOCK_HELD, FaultKind.KAFKA_DUPLICATE_DELIVERY}
"""They have to be in place before what they wait for comes."""
_IN_PLACE_WITHIN = 10.0
_UNDONE_WITHIN = 60.0
_LOOK_EVERY = 0.02


class NotUndoneError(RuntimeError):
    """What faults had made was not undone in time; the message names them."""


@dataclass(frozen=True)
class Faults:
    """The faults of the platform whose armoury lies in `directory`; made by `Platform.faults`.

    It holds nothing itself: any process and any event loop may make one and use it.
    """

    directory: Path

    async def arm(self, fault: Fault) -> None:
        """From this moment on it hits the next things that it is meant for, `fault.times` of them."""
        armoury = self._armoury
        armed = armoury.arm(fault)
        if fault.kind not in _LIE_IN_WAIT:
            return

        def in_place() -> bool:
            effects = armoury.effects({fault.kind})
            return not armoury.is_armed(armed) or any(name.startswith(armed.name) for name in effects)

        # Where what the fault needs is down, the wait ends without it; the fault goes on trying.
        await until(in_place, within=_IN_PLACE_WITHIN, every=_LOOK_EVERY)

    async def concern(self, group: Group) -> None:
        """Kafka's faults are for this consumer group, instead of the daemon's usual one."""
        self._armoury.concern(group)

    async def clear(self, *, within: float = _UNDONE_WITHIN) -> None:
        """Nothing is armed any more, and what lasted is undone: broker up, locks gone, foreign pods deleted.

        What has hit stays counted, and what a hit destroyed (a deleted pod) comes back by the platform's own means:
        `Platform.until_ready` waits for that.

        Raises:
            NotUndoneError: not within `within` seconds.
        """
        armoury = self._armoury
        armoury.clear()
        if not await until(lambda: not armoury.effects(), within=within, every=_LOOK_EVERY):
            raise NotUndoneError(f"after {within:g} s: {', '.join(armoury.effects())}")

    def armed(self) -> tuple[Fault, ...]:
        """What may still hit, oldest first."""
        return tuple(one.fault for one in self._armoury.armed(FaultKind))

    def lasts(self, kind: FaultKind) -> bool:
        """Whether one of this kind lasts at this moment."""
        return bool(self._armoury.effects({kind}))

    async def hits(self) -> dict[FaultKind, int]:
        """How often each kind has hit since the platform came up; kinds that never hit are left out."""
        return dict(self._armoury.hits())

    @property
    def _armoury(self) -> Armoury:
        return Armoury(self.directory)
