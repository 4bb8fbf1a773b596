"""The control of the platform's faults: arm one, clear all, count how often each kind has really hit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sandbox.faults.armoury import Armoury, Group
from sandbox.faults.fault import Fault
from sandbox.faults.kinds import FaultKind
from sandbox.polling import until

_IN_PLACE_FIRST = {FaultKind.POSTGRES_LOCK_HELD, FaultKind.KAFKA_DUPLICATE_DELIVERY}
"""Kinds that have to be in place before what they wait for comes."""
_IN_PLACE_WITHIN = 10.0
_UNDONE_WITHIN = 60.0
_ARMED_POLL_SECONDS = 0.02


class NotUndoneError(RuntimeError):
    """Effects of faults were not undone in time; the message names them."""


@dataclass(frozen=True)
class Faults:
    """The faults of the platform whose armoury lies in `directory`; `Platform.faults` makes one.

    It holds no state of its own, so any process and any event loop may make one and use it.
    """

    directory: Path

    async def arm(self, fault: Fault) -> None:
        """Arm a fault: it hits the next `fault.times` things that it is meant for."""
        armoury = self._armoury
        armed = armoury.arm(fault)
        if fault.kind not in _IN_PLACE_FIRST:
            return

        def in_place() -> bool:
            effects = armoury.effects({fault.kind})
            return not armoury.is_armed(armed) or any(name.startswith(armed.name) for name in effects)

        # Where what the fault needs is down, the wait ends without it; the fault goes on trying.
        await until(in_place, within=_IN_PLACE_WITHIN, every=_ARMED_POLL_SECONDS)

    async def concern(self, group: Group) -> None:
        """Make Kafka's faults hit this consumer group instead of the daemon's usual one."""
        self._armoury.concern(group)

    async def clear(self, *, within: float = _UNDONE_WITHIN) -> None:
        """Disarm every fault and undo every effect: broker up, locks gone, foreign pods deleted.

        Hits stay counted. What a hit destroyed (a deleted pod) comes back by the platform's own means, for which
        `Platform.until_ready` waits.

        Raises:
            NotUndoneError: effects are left after `within` seconds.
        """
        armoury = self._armoury
        armoury.clear()
        if not await until(lambda: not armoury.effects(), within=within, every=_ARMED_POLL_SECONDS):
            raise NotUndoneError(f"after {within:g} s: {', '.join(armoury.effects())}")

    def armed(self) -> tuple[Fault, ...]:
        """The faults that may still hit, oldest first."""
        return tuple(armed.fault for armed in self._armoury.armed(FaultKind))

    def lasts(self, kind: FaultKind) -> bool:
        """Whether a fault of this kind lasts now."""
        return bool(self._armoury.effects({kind}))

    async def hits(self) -> dict[FaultKind, int]:
        """How often each kind has hit since the platform came up; a kind that never hit is left out."""
        return dict(self._armoury.hits())

    @property
    def _armoury(self) -> Armoury:
        return Armoury(self.directory)
