"""Polling of commands that have no stream of their own: one exec observes all commands of a container.

Whoever has a container's lock asks for everybody who waits for it. So there is one such exec at a time in each
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
from daemon.adapters.kubernetes.exec.websocket_stream import ContainerRef
from daemon.ports.errors import PortError
from daemon.ports.pods.cluster import Result
from daemon.ports.pods.commands import Observation
from schemas.resets import Control

MAX_COMMANDS = 64
"""Commands that one exec observes."""
MAX_OUTPUT_BYTES = 65536
"""Output that one poll brings of one command."""

RunInContainer = Callable[[ContainerRef, list[str], bytes], Awaitable[Result]]


@dataclass(eq=False)
class _Question:
    """Asks for one command, with its output from `offset` on."""

    directory: str
    offset: int
    answer: Observation | Result | PortError | None = None
    """A Result is the script's refusal."""


@dataclass(eq=False)
class _Container:
    container: ContainerRef
    incarnation: str
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    questions: list[_Question] = field(default_factory=list)


class ContainerPoller:
    """Observes commands by execs that the commands of a container share.

    Args:
        run: Runs a command with that input in a container, bounded in time and number.
    """

    def __init__(self, run: RunInContainer) -> None:
        self._run = run
        self._containers: WeakValueDictionary[tuple[str, ...], _Container] = WeakValueDictionary()

    async def poll(self, control: Control, offset: int) -> Observation | Result:
        """Observe a command once, with its output from `offset` on. A Result is the script's refusal.

        Raises:
            PortError: the container could not be asked.
        """
        container = self._container(control)
        question = _Question(control.directory, offset)
        container.questions.append(question)
        try:
            async with container.lock:
                while question.answer is None:
                    await self._ask(container, container.questions[:MAX_COMMANDS])
        finally:
            if question in container.questions:
                container.questions.remove(question)
        if isinstance(question.answer, PortError):
            raise question.answer
        return question.answer

    def _container(self, control: Control) -> _Container:
        key = (control.environment, control.pod_uid, control.container_id, control.incarnation)
        new = _Container(ContainerRef.of_control(control), control.incarnation)
        return self._containers.setdefault(key, new)

    async def _ask(self, container: _Container, questions: list[_Question]) -> None:
        """Answer as many of the questions as one exec does, at least the first."""
        argv = scripts.argv("poll", str(len(questions)), container.incarnation, str(MAX_OUTPUT_BYTES))
        lines = "".join(f"{question.offset} {question.directory}\n" for question in questions)
        answers: list[Observation | Result | PortError]
        try:
            result = await self._run(container.container, argv, lines.encode("utf-8", "surrogateescape"))
            answers = [*FrameDecoder().feed(result.stdout)]
            missing = len(questions) - len(answers)
            # Where a directory is missing, the script ends with it: the commands after it were not observed.
            answers += [result] * (min(missing, 1) if result.exit_code == Refusal.NO_DIRECTORY else missing)
        except PortError as error:
            answers = [error] * len(questions)
        except FrameError:
            answers = [Result(-1, b"", b"what it printed is no frame")] * len(questions)
        for question, answer in zip(questions, answers, strict=False):
            question.answer = answer
            if question in container.questions:
                container.questions.remove(question)
