"""The output of a reset's commands, so far or followed to its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse

from daemon.api.authentication import Caller
from daemon.api.context import ApiContext, Context
from daemon.api.problems import ProblemError, violation
from daemon.api.reset_lookup import RESET_PATH, find
from schemas.reasons import Reason
from schemas.resets import Attempt, Reset
from schemas.wire import AttemptId, Time
from statemachines.lifecycle import AT_REST

router = APIRouter(tags=["resets"])
_LOG_POLL_SECONDS = 0.3  # seconds between looks at the store
_CHUNK = 64 * 1024
_LARGEST = 2**31 - 1  # of an attempt's number in the databases' columns, and more than is kept of any output


@router.get(f"{RESET_PATH}/log", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def read_log(
    reference: str,
    context: Context,
    caller: Caller,
    step: str | None = None,
    attempt: Annotated[int | None, Query(ge=1, le=_LARGEST)] = None,
    offset: Annotated[int, Query(ge=0, le=_LARGEST)] = 0,
    follow: bool = False,
    tail: Annotated[int | None, Query(ge=0, le=100_000)] = None,
    since: Time | None = None,
) -> Response:
    """Output of the commands, as they printed it. It outlives their pods.

    With `step` it is the output of that step's last attempt, or of the attempt with the number `attempt`, from the
    byte `offset` on. Without `step` it is the output of all attempts, each piece below a line
    `==> STEP (attempt N) <==`. `tail` keeps only the last lines of each attempt. `since` leaves out attempts that
    had ended before that moment; lines have no times of their own. `follow` goes on to the end of the reset, or of the
    attempt that was named.
    """
    reset = await find(context, caller, reference)
    if step is None and (offset or attempt):
        raise violation("?step", "is needed: offset and attempt are of one step's output")
    reader = _Reader(context, reset, step, attempt, first=offset, tail=tail, since=since)
    if step is not None and not await reader.chosen() and step not in await _names(context, reset):
        raise ProblemError(Reason.UNKNOWN_STEP, f"the plan has no step {step}", reset=reset.id, status=404)
    headers = {"Cache-Control": "no-store"}
    pieces = reader.pieces(follow=follow)
    if follow:
        pieces = context.streams.stream(caller.subject, pieces, lambda: context.knows(caller))
    return StreamingResponse(pieces, media_type="text/plain; charset=utf-8", headers=headers)


async def _names(context: ApiContext, reset: Reset) -> set[str]:
    return {step.name for step in await context.store.steps(reset.id)}


@dataclass
class _Reader:
    """Reads the kept output of a reset's attempts, and remembers for each how far it has read."""

    context: ApiContext
    reset: Reset
    step: str | None
    attempt: int | None
    first: int
    tail: int | None
    since: datetime | None
    _offsets: dict[AttemptId, int] = field(default_factory=dict)
    _under: AttemptId | None = None
    """The attempt whose header was written last."""

    async def chosen(self) -> tuple[Attempt, ...]:
        """The attempts to read, in the order of their start."""
        attempts = tuple(
            attempt
            for attempt in await self.context.store.attempts(self.reset.id)
            if attempt.id in self._offsets
            or self.since is None
            or attempt.finished_at is None
            or attempt.finished_at >= self.since
        )
        if self.step is None:
            return attempts
        of_step = [attempt for attempt in attempts if attempt.step == self.step]
        if self.attempt is None:
            return tuple(of_step[-1:])
        return tuple(attempt for attempt in of_step if attempt.number == self.attempt)

    async def pieces(self, *, follow: bool) -> AsyncIterator[bytes]:
        """Yield the output piece by piece.

        Without `follow` it ends after what is kept now, with `follow` once nothing more can come. An empty piece says
        that there is nothing new.
        """
        while True:
            ended = await self._ended() if follow else True
            # The output is read after the question whether it has ended. So all that was kept before the end is read.
            for attempt in await self.chosen():
                async for piece in self._rest(attempt):
                    yield piece
            if ended or self.context.closing.is_set():
                return
            yield b""
            await self.context.clock.sleep(_LOG_POLL_SECONDS)

    async def _ended(self) -> bool:
        if self.step is not None:
            attempts = await self.chosen()
            if attempts:
                return attempts[-1].finished_at is not None
        reset = await self.context.store.find(self.reset.id)
        return reset is None or reset.state in AT_REST

    async def _rest(self, attempt: Attempt) -> AsyncIterator[bytes]:
        if attempt.id not in self._offsets:
            self._offsets[attempt.id] = await self._start(attempt)
        while data := await self.context.logs.read(attempt.id, self._offsets[attempt.id], _CHUNK):
            if self.step is None and self._under != attempt.id:
                yield f"==> {attempt.step} (attempt {attempt.number}) <==\n".encode()
            self._under = attempt.id
            self._offsets[attempt.id] += len(data)
            yield data
            await asyncio.sleep(0)

    async def _start(self, attempt: Attempt) -> int:
        """The byte to begin at: the offset that was asked for, or the one where the last lines begin."""
        if self.tail is None:
            return self.first
        size = await self.context.logs.size(attempt.id)
        last = await self.context.logs.read(attempt.id, max(0, size - _CHUNK), _CHUNK)
        lines = last.splitlines(keepends=True)[-self.tail :] if self.tail else []
        return size - sum(len(line) for line in lines)
