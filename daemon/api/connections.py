"""Bounds what clients can hold open: connections, half-sent requests, unread answers, and streams of one token.

Uvicorn limits neither the number of connections nor the time in which a request has to come. Each of them is a file
descriptor, and a daemon without any left can neither reach a pod nor keep its lease.
"""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from collections.abc import AsyncIterator, Callable

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from daemon.api.problems import ProblemError
from schemas.reasons import Reason

MOST_CONNECTIONS = 256
"""Connections of the API at one time; less where the process may open few files."""
HEAD_SECONDS = 10.0
"""Seconds in which the head of a request has to come."""
READ_SECONDS = 30.0
"""Seconds in which a client has to go on reading an answer that no buffer takes any more."""
STREAMS_OF_ONE = 20
"""Streams that one subject may have open: events, and logs that are followed."""
STREAMS = 100
"""Streams of all subjects together."""

_log = structlog.get_logger()


def most_connections() -> int:
    """The most connections of this process: a quarter of the files that it may open, and no more than the limit."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if files == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, files // 4)


class BoundedConnection(H11Protocol):
    """One connection. Its client has to send and to read in time, and it gives way to others where there are too many.

    The oldest connection that waits for its client is closed for a new one. So half-sent requests and unread answers,
    however many, keep nobody out.
    """

    _read_timer: asyncio.TimerHandle | None = None
    _head_timer: asyncio.TimerHandle | None = None
    _since: float = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self._since = self.loop.time()
        self._watch_head()
        if len(self.connections) > most_connections():
            waiting = [
                each for each in self.connections if isinstance(each, BoundedConnection) and each.waits
            ]
            oldest = min(waiting, key=lambda each: each._since, default=self)  # noqa: SLF001 - of its own class
            _log.debug("api.connection-refused", open=len(self.connections))
            oldest.transport.abort()
            self.connections.discard(oldest)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._forget_timer()
        self._forget_reading()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol`: the client does not read, and no buffer takes more."""
        super().pause_writing()
        if self._read_timer is None:
            self._read_timer = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self._forget_reading()
        super().resume_writing()

    @property
    def waits(self) -> bool:
        """Whether it is the client's turn: to send a head or a body, which are read whole, or to read an answer."""
        return self.conn.their_state in {h11.IDLE, h11.SEND_BODY} or self._read_timer is not None

    @property
    def _lacks_head(self) -> bool:
        return bool(self.conn.their_state is h11.IDLE)

    def _watch_head(self) -> None:
        if not self._lacks_head:
            self._forget_timer()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _forget_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _forget_reading(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if self._lacks_head and not self.transport.is_closing():
            self.transport.abort()


class Streams:
    """Counts open streams for each subject."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def stream(
        self, subject: str, pieces: AsyncIterator[bytes], known: Callable[[], bool]
    ) -> AsyncIterator[bytes]:
        """Return the pieces of a stream that counts until it ends, or its client goes away.

        `known` says whether the caller's token still lets them in. Where it does not, the stream ends. It is asked
        before each piece: an empty one is not sent, and asks all the same.

        Raises:
            ProblemError: `too-many-streams`.
        """
        if self._open[subject] >= STREAMS_OF_ONE or self._open.total() >= STREAMS:
            raise ProblemError(
                Reason.TOO_MANY_STREAMS,
                f"{self._open[subject]} of {subject} are open, and {self._open.total()} of all",
                hint=f"Close some: {STREAMS_OF_ONE} of one subject and {STREAMS} of all can be open at one time.",
            )
        return self._counted(subject, pieces, known)

    async def _counted(
        self, subject: str, pieces: AsyncIterator[bytes], known: Callable[[], bool]
    ) -> AsyncIterator[bytes]:
        self._open[subject] += 1
        try:
            async for piece in pieces:
                if not known():
                    return
                if piece:
                    yield piece
        finally:
            self._open[subject] -= 1
