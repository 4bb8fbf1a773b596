"""Short looks at commands that have no stream of their own: one exec looks at all that are asked about in a container.

Whoever has a container's turn asks for everybody who waits for it; so there is one such exec at a time in each
container, however many commands run there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from daemon.adapters.kubernetes.exec import scripts
from daemon.adapters.kubernetes.exec.follow_frames import FrameDecoder, FrameError
from daemon.adapters.kubernetes.exec.scripts import Refusal
from daemon.adapters.kubernetes.exec.websocket_stream import Place
from daemon.ports.errors import PortError
from daemon.ports.pods.cluster import Result
from daemon.ports.pods.commands import Observation
from schemas.resets import Control

MOST = 64
"""Commands that one exec looks at."""
BYTES = 65536
"""Output that one look brings of one command."""

RunInContainer = Callable[[Place, list[str], bytes], Awaitable[Result]]


@dataclass(eq=False)
class _Asked:
    directory: str
    offset: int
    answer: Observation | Result | PortError | None = None
    """A Result is the script's refusal."""


@dataclass(eq=False)
class _Container:
    place: Place
    incarnation: str
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: list[_Asked] = field(default_factory=list)


class Looks:
    """Args: run: runs a command with that input in a container, bounded in time and number."""

    def __init__(self, run: RunInContainer) -> None:
        self._run = run
        self._containers: WeakValueDictionary[tuple[str, ...], _Container] = WeakValueDictionary()

    async def look(self, control: Control, offset: int) -> Observation | Result:
        """What there is to see of a command, with its output from `offset` on; a Result where the script refused.

        Raises:
            PortError: the container could not be asked.
        """
        container = self._container(control)
        asked = _Asked(control.directory, offset)
        container.waiting.append(asked)
        try:
            async with container.turn:
                while asked.answer is None:
                    await self._look_at(container, container.waiting[:MOST])
        finally:
            if asked in container.waiting:
                container.waiting.remove(asked)
        if isinstance(asked.answer, PortError):
            raise asked.answer
        return asked.answer

    def _container(self, control: Control) -> _Container:
        place = Place(control.environment, control.pod, control.container)
        key = (control.environment, control.pod_uid, control.container_id, control.incarnation)
        return self._containers.setdefault(key, _Container(place, control.incarnation))

    async def _look_at(self, container: _Container, batch: list[_Asked]) -> None:
        """Answer as many of them as one exec does, at least the first."""
        argv = scripts.argv("poll", str(len(batch)), container.incarnation, str(BYTES))
        told = "".join(f"{one.offset} {one.directory}\n" for one in batch).encode("utf-8", "surrogateescape")
        answers: list[Observation | Result | PortError]
        try:
            result = await self._run(container.place, argv, told)
            answers = [*FrameDecoder().feed(result.stdout)]
            missing = len(batch) - len(answers)
            # Without its directory only the first of the rest is refused; the others were not looked at.
            answers += [result] * (min(missing, 1) if result.exit_code == Refusal.NO_DIRECTORY else missing)
        except PortError as error:
            answers = [error] * len(batch)
        except FrameError:
            answers = [Result(-1, b"", b"what it printed is no frame")] * len(batch)
        for one, answer in zip(batch, answers, strict=False):
            one.answer = answer
            if one in container.waiting:
                container.waiting.remove(one)
