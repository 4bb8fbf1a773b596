"""The way between a worker and the world: calls take time, get lost before or after their effect, outlive who calls.

A call that was sent takes place, whatever becomes of the worker meanwhile: that is what makes effects late.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from daemon.ports.errors import PermanentError, PortError, TemporaryError
from schemas.reasons import Reason
from tests.simulation.world.loop import Process, VirtualLoop

AWAY = {
    "store": Reason.UNAVAILABLE,
    "pods": Reason.KUBERNETES_UNREACHABLE,
    "databases": Reason.DATABASE_UNREACHABLE,
    "backups": Reason.DATABASE_UNREACHABLE,
    "repositories": Reason.REPOSITORY_UNREACHABLE,
    "deployments": Reason.KUBERNETES_UNREACHABLE,
    "quiescing": Reason.KUBERNETES_UNREACHABLE,
    "outlet": Reason.UNAVAILABLE,
}
"""Port -> what its error says while nobody answers there."""

POINTS: tuple[tuple[str, str], ...] = (
    *(
        ("store", name)
        for name in ("save", "claim", "renew", "lock", "unread_acts", "superseded_by", "take_in")
    ),
    *(("pods", name) for name in ("choose", "read", "variables", "prepare", "launch", "follow")),
    *(("pods", name) for name in ("give_up", "stop", "gone", "fate")),
    *(("databases", name) for name in ("identify", "witness", "hear", "is_alive", "leads_to")),
    ("backups", "dump"),
    *(("repositories", name) for name in ("read", "rewind")),
    ("deployments", "gate"),
    *(("quiescing", name) for name in ("quiesce", "find", "running", "release", "unhealthy", "ask_to_look")),
    ("outlet", "publish"),
)
"""Where a single call may be made to fail."""


@dataclass
class _Trap:
    """What happens to whom at a call."""

    what: Callable[[Process], None]
    after: bool
    skip: int
    process: Process | None = None

    def spring(self) -> None:
        """Let it happen."""
        if self.process is not None:
            self.what(self.process)


@dataclass
class Network:
    """Faults of all ports, counted when they hit."""

    loop: VirtualLoop
    chance: Random
    slow: float = 0.0
    """Seconds that a call may take, each way."""
    closed: bool = False
    """Whether the history is over: nobody answers any more."""
    down: dict[str, float] = field(default_factory=dict)
    """Port -> until when nobody answers there."""
    hits: Counter[str] = field(default_factory=Counter)
    _faults: dict[tuple[str, str], list[tuple[bool, bool]]] = field(default_factory=dict)
    _late: dict[tuple[str, str], list[tuple[float, Callable[[tuple[Any, ...]], None] | None]]] = field(
        default_factory=dict
    )
    _traps: dict[tuple[str, str], list[_Trap]] = field(default_factory=dict)
    _cuts: int = 0

    def trap(
        self, point: tuple[str, str], what: Callable[[Process], None], *, after: bool, skip: int
    ) -> None:
        """Let something happen to the worker that makes the call there after `skip` more of them: right when it was
        sent, or once its effect took place and before its answer is heard.
        """
        self._traps.setdefault(point, []).append(_Trap(what, after, skip))

    def delay(
        self,
        point: tuple[str, str],
        seconds: float,
        meanwhile: Callable[[tuple[Any, ...]], None] | None = None,
    ) -> None:
        """Let the next call there take effect so much later; `meanwhile` is told first what it asks for."""
        self._late.setdefault(point, []).append((seconds, meanwhile))

    def fail(self, point: tuple[str, str], *, after: bool, forbidden: bool = False) -> None:
        """Let the next call there raise; with `after` it takes effect and only its answer is lost."""
        self._faults.setdefault(point, []).append((after, forbidden))

    def cut_streams(self) -> None:
        """End every stream without a word."""
        self._cuts += 1

    def heal(self) -> None:
        """No faults any more."""
        self._faults.clear()
        self.down.clear()
        self._traps.clear()
        self._late.clear()
        self.slow = 0.0

    async def call(self, port: str, method: str, what: Callable[..., Any], *args: Any, **named: Any) -> Any:  # noqa: ANN401 - any port's
        """Send a call into the world and wait for its answer."""
        if self.closed:
            raise TemporaryError(AWAY[port], "the history is over")
        trap = self._trapped(port, method)
        served = self.loop.start(self.loop.world, self._serve(port, method, trap, what, args, named))
        # Who called may be dead when the answer comes; that nobody hears it then is no error of the program.
        served.add_done_callback(_heard, context=self.loop.world.context)
        if trap is not None and not trap.after:
            trap.spring()
        return await asyncio.shield(served)

    def _trapped(self, port: str, method: str) -> _Trap | None:
        waiting = self._traps.get((port, method))
        if not waiting:
            return None
        waiting[0].skip -= 1
        if waiting[0].skip >= 0:
            return None
        trap = waiting.pop(0)
        trap.process = self.loop.present()
        self.hits[f"stopped at {port}.{method}"] += 1
        return trap

    async def _serve(
        self,
        port: str,
        method: str,
        trap: _Trap | None,
        what: Callable[..., Any],
        args: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Any:  # noqa: ANN401
        await self._travel()
        if late := self._late.get((port, method)):
            self.hits[f"{port}.{method} late"] += 1
            seconds, meanwhile = late.pop(0)
            if meanwhile is not None:
                meanwhile(args)
            await asyncio.sleep(seconds)
        self.maybe_fail(port, method)
        answer = await what(*args, **named)
        if trap is not None and trap.after:
            trap.spring()
        await self._travel()
        self.maybe_fail(port, method, after=True)
        return answer

    async def _travel(self) -> None:
        if self.slow and self.chance.random() < 0.3:
            await asyncio.sleep(self.chance.random() * self.slow)

    def maybe_fail(self, port: str, method: str, *, after: bool = False) -> None:
        """Raise what was asked for.

        Raises:
            PortError: this call is lost.
        """
        if self.down.get(port, 0.0) > self.loop.time():
            self.hits[f"{port} down"] += 1
            raise TemporaryError(AWAY[port], f"{port} is down")
        waiting = self._faults.get((port, method))
        if waiting and waiting[0][0] is after:
            _, forbidden = waiting.pop(0)
            self.hits[f"{port}.{method} {'after' if after else 'before'}"] += 1
            raise self._error(port, method, forbidden=forbidden)

    def _error(self, port: str, method: str, *, forbidden: bool) -> PortError:
        if forbidden and port == "pods":
            return PermanentError(Reason.KUBERNETES_FORBIDDEN, f"{method} is forbidden")
        return TemporaryError(AWAY[port], f"{method} got no answer")

    @property
    def cuts(self) -> int:
        """How often streams were cut."""
        return self._cuts


def _heard(served: asyncio.Task[Any]) -> None:
    if not served.cancelled():
        served.exception()
