"""Kept output in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

from daemon.ports.logs import MARKER
from daemon.redaction import redact_in_place
from daemon.redaction.open_ends import joined, masked_end, open_end
from schemas.wire import AttemptId, ResetId, Time

_CUT = MARKER + b"the output went on; it was not kept]\n"


class MemoryLogs:
    """Implements `daemon.ports.logs.Logs`. `full = True` is a disk that takes nothing more."""

    def __init__(self, *, limit: int = 16 * 1024 * 1024) -> None:
        self.full = False
        self._limit = limit
        self._kept: dict[AttemptId, bytes] = defaultdict(bytes)
        self._held: dict[AttemptId, tuple[int, bytes]] = {}
        self._given: dict[AttemptId, int] = {}
        self._written_at: dict[AttemptId, datetime] = {}

    async def keep(self, attempt: AttemptId, offset: int, data: bytes) -> None:
        """See the port."""
        if self.full:
            self._given[attempt] = max(offset + len(data), self._given.get(attempt, 0))
            return
        held = self._held.get(attempt)
        if held is not None and offset > held[0] + len(held[1]):
            await self.settle(attempt)
        elif held is not None:
            offset, data = joined(held, offset, data)
        self._held.pop(attempt, None)
        self._add(attempt, offset, data, over=False)

    async def settle(self, attempt: AttemptId) -> None:
        """See the port."""
        if attempt in self._held:
            self._add(attempt, *self._held.pop(attempt), over=True)

    def _add(self, attempt: AttemptId, offset: int, data: bytes, *, over: bool) -> None:
        kept = self._kept[attempt]
        if len(kept) >= self._limit or offset + len(data) <= len(kept):
            return
        marker = MARKER + f"{offset - len(kept)} bytes of output are missing here]\n".encode()
        gap = max(0, offset - len(kept))
        whole = kept + marker[:gap].ljust(gap, b"\n") + data[max(0, len(kept) - offset) :]
        end = len(whole) if over else max(len(kept), open_end(whole))
        if end < len(whole):
            self._held[attempt] = (end, whole[end:])
        kept = redact_in_place(masked_end(whole) if over else whole[:end])
        if len(kept) > self._limit:
            kept = kept[: self._limit] + _CUT
        self._kept[attempt] = kept
        self._written_at[attempt] = datetime.now(UTC)

    async def read(self, attempt: AttemptId, offset: int, limit: int) -> bytes:
        """See the port."""
        return self._kept.get(attempt, b"")[offset : offset + limit]

    async def tail(self, attempt: AttemptId, lines: int) -> str:
        """See the port."""
        text = self._kept.get(attempt, b"").decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:] if lines > 0 else [])

    async def whole(self, attempt: AttemptId) -> tuple[str, bool]:
        """See the port."""
        data = self._kept.get(attempt, b"")
        return data.decode(errors="replace"), MARKER not in data and len(data) >= self._given.get(attempt, 0)

    async def size(self, attempt: AttemptId) -> int:
        """See the port."""
        return len(self._kept.get(attempt, b""))

    async def untouched_since(self, before: Time) -> Sequence[ResetId]:
        """See the port."""
        resets = {attempt.partition("/")[0] for attempt in self._written_at}
        return sorted(
            ResetId(reset)
            for reset in resets
            if all(
                at < before for attempt, at in self._written_at.items() if attempt.partition("/")[0] == reset
            )
        )

    async def forget(self, reset_id: ResetId) -> None:
        """See the port."""
        for attempt in [each for each in self._written_at if each.partition("/")[0] == reset_id]:
            del self._kept[attempt], self._written_at[attempt]
