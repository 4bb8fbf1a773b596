"""An event loop without a world: time is a number, and chance decides which process runs next.

Every callback belongs to the process whose context it was made in. Within a process callbacks keep asyncio's order;
between processes the next one is drawn. A process can stand still (its callbacks wait, its timers are late) or end
(nothing of it runs any more, no `finally` either), at any point where it awaits.
"""

from __future__ import annotations

import asyncio
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, TypeVar

Answer = TypeVar("Answer")


@dataclass(eq=False)
class Process:
    """What shares one thread of control: its callbacks run one after another."""

    name: str
    stands_still: bool = False
    ready: deque[asyncio.Handle] = field(default_factory=deque)
    timers: list[tuple[float, int, asyncio.TimerHandle]] = field(default_factory=list)
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    """All that it started. Kept, as a task that is forgotten runs its `finally` blocks."""
    context: Context = field(init=False)

    def __post_init__(self) -> None:
        self.context = copy_context()
        self.context.run(_OF.set, self)


_OF: ContextVar[Process] = ContextVar("process")


class _Numbered(asyncio.Task[Any]):
    """A task whose hash is its number, so that sets of tasks have the same order in each run."""

    _numbers = count()

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - asyncio's
        self._number = next(self._numbers)
        super().__init__(*args, **kwargs)
        self._log_destroy_pending = False

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs processes by turns. `world` is everything that is no process of the daemon."""

    def __init__(self, chance: Random) -> None:
        super().__init__()
        self._chance = chance
        self._time = 0.0
        self._numbers = count()
        self.world = Process("world")
        self.processes: list[Process] = [self.world]
        self._dead: list[Process] = []
        self.errors: list[str] = []
        """What nobody took notice of: exceptions of tasks and callbacks."""
        self.turns = 0
        self.set_task_factory(self._make_task)
        self.set_exception_handler(self._keep_error)

    def process(self, name: str) -> Process:
        """A new process."""
        made = Process(name)
        self.processes.append(made)
        return made

    def present(self) -> Process:
        """Whose callback runs just now."""
        return _OF.get(self.world)

    def start(
        self, process: Process, coroutine: Coroutine[Any, Any, Answer], name: str | None = None
    ) -> asyncio.Task[Answer]:
        """A task of that process."""
        return self.create_task(coroutine, context=process.context, name=name)

    def end(self, process: Process) -> None:
        """Kill it: what it was about to do is not done, no `finally` either, before `bury`."""
        self.processes.remove(process)
        self._dead.append(process)

    def bury(self) -> None:
        """Let all tasks end, those of the dead, too. Whatever they still do, nobody looks any more."""
        self.processes += self._dead
        self._dead.clear()
        while left := [task for process in self.processes for task in process.tasks if not task.done()]:
            for process in self.processes:
                process.stands_still = False
            for task in left:
                task.cancel()
            self.run_for(60.0)
        self.close()

    def run_turns(self, turns: int) -> None:
        """So many callbacks, if there are as many; time passes only where nobody can go on."""
        with self._running():
            for _ in range(turns):
                if not self._turn(float("inf")):
                    return

    def run_for(self, seconds: float, until: Callable[[], bool] | None = None) -> None:
        """So much time, or until something holds before time passes."""
        end, was = self._time + seconds, self._time
        with self._running():
            while self._turn(end):
                if until is not None and self._time > was:
                    was = self._time
                    if until():
                        return
        self._time = max(self._time, end)

    def time(self) -> float:
        """Seconds since this loop was made."""
        return self._time

    def call_soon(  # type: ignore[override] # asyncio's stub knows no return of a plain Handle
        self,
        callback: Callable[..., object],
        *args: Any,  # noqa: ANN401 - asyncio's
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Into the queue of the process that asks."""
        made = asyncio.Handle(callback, args, self, context)
        _owner(made, self.world).ready.append(made)
        return made

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,  # noqa: ANN401 - asyncio's
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As `call_soon`, later."""
        made = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(_owner(made, self.world).timers, (when, next(self._numbers), made))
        return made

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer is dropped when its time comes."""

    def _make_task(
        self,
        loop: asyncio.AbstractEventLoop,
        coroutine: Generator[Any, None, Any] | Coroutine[Any, Any, Any],
        **more: Any,  # noqa: ANN401
    ) -> asyncio.Task[Any]:
        task = _Numbered(coroutine, loop=loop, **more)
        owner = (more.get("context") or copy_context()).get(_OF, self.world)
        if len(owner.tasks) > 200:
            owner.tasks = [one for one in owner.tasks if not one.done()]
        owner.tasks.append(task)
        return task

    def _keep_error(self, _loop: object, context: dict[str, Any]) -> None:
        self.errors.append(f"{context.get('message')}: {context.get('exception')!r}")

    def _running(self) -> _Running:
        return _Running(self)

    def _turn(self, end: float) -> bool:
        """Run one callback, letting time pass where nobody can go on; False when none is left until then."""
        while True:
            now = self._time
            able = [
                one
                for one in self.processes
                if not one.stands_still
                and (one.ready if not one.timers or one.timers[0][0] > now else _wake(one, now))
            ]
            if able:
                chosen = able[0] if len(able) == 1 else able[int(self._chance.random() * len(able))]
                handle = chosen.ready.popleft()
                if not handle.cancelled():
                    handle._run()
                    self.turns += 1
                    return True
                continue
            soonest = min(
                (one.timers[0][0] for one in self.processes if one.timers and not one.stands_still),
                default=float("inf"),
            )
            if soonest > end or soonest == float("inf"):
                return False
            self._time = max(self._time, soonest)


class _Running:
    """While it lasts the loop is the one that coroutines find."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._before: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> None:
        self._before = events._get_running_loop()
        events._set_running_loop(self._loop)

    def __exit__(self, *_: object) -> None:
        events._set_running_loop(self._before)


def _wake(process: Process, now: float) -> bool:
    """Whether it has something to do now; its due timers are."""
    timers = process.timers
    while timers and timers[0][0] <= now:
        handle = heapq.heappop(timers)[2]
        if not handle.cancelled():
            process.ready.append(handle)
    return bool(process.ready)


def _owner(handle: asyncio.Handle, world: Process) -> Process:
    context: Context = handle._context  # type: ignore[attr-defined] # asyncio has no other way to ask
    return context.get(_OF, world)
