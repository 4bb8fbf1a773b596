"""One writer for the changes of many resets: those that wait while a commit is under way share the next one.

A commit costs the disk the same for one change as for fifty, and a durable step waits for the disk. No change waits
for company: the writer takes what is there as soon as it is free.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from daemon.adapters.store.connections.transactions import Transactions
from daemon.adapters.store.leases import saving
from daemon.ports.errors import PortError
from daemon.ports.store.leases import Change
from schemas.resets import Reset
from schemas.wire import ResetId
from statemachines.commits import check_commit

MAX_CHANGES = 100
"""Changes in one transaction, which locks their environments' rows until it ends."""


@dataclass(frozen=True, eq=False)
class _QueuedChange:
    change: Change
    result: asyncio.Future[Reset]


class SharedCommits:
    """Stores or refuses each change by itself, whatever becomes of those that share its commit."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._queue: list[_QueuedChange] = []
        self._writer: asyncio.Task[None] | None = None

    async def save(self, change: Change) -> Reset:
        """Store a change, and return the stored reset once it is durable.

        Changes of one reset are stored in the order of their calls. A caller that is cancelled takes its change back
        from the queue; where the writer has taken the change already, the caller first waits until it is answered.

        Raises:
            LeaseLostError: the reset has another holder or version by now.
            ValueError: a sequence would leave a gap, or a plan is not the one that its reset names.
            TemporaryError: the database does not answer; the change may have been stored nevertheless. Or `frozen`.
        """
        check_commit(change.reset, change.plan, change.history)
        queued = _QueuedChange(change, asyncio.get_running_loop().create_future())
        self._queue.append(queued)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        try:
            return await asyncio.shield(queued.result)
        except asyncio.CancelledError:
            if queued in self._queue:
                self._queue.remove(queued)
            else:
                await asyncio.wait({queued.result})
            raise

    async def close(self) -> None:
        """Wait until all changes are answered."""
        while self._writer is not None:
            await asyncio.wait({self._writer})

    async def _write(self) -> None:
        taken: list[_QueuedChange] = []
        try:
            while self._queue:
                taken = self._take()
                results = await self._store([queued.change for queued in taken])
                for queued, result in zip(taken, results, strict=True):
                    if isinstance(result, Exception):
                        queued.result.set_exception(result)
                        # A caller that was cancelled does not ask: asyncio would report the error as never retrieved.
                        queued.result.exception()
                    else:
                        queued.result.set_result(result)
        finally:
            # A writer that is cancelled itself leaves no caller waiting for an answer that will not come.
            for queued in (*taken, *self._queue):
                queued.result.cancel()
            self._queue, self._writer = [], None

    def _take(self) -> list[_QueuedChange]:
        """Take the oldest change of each reset. The next one of the same reset builds on what becomes of it."""
        taken: dict[ResetId, _QueuedChange] = {}
        left = []
        for queued in self._queue:
            if len(taken) < MAX_CHANGES and queued.change.reset.id not in taken:
                taken[queued.change.reset.id] = queued
            else:
                left.append(queued)
        self._queue = left
        return list(taken.values())

    async def _store(self, changes: Sequence[Change]) -> Sequence[Reset | Exception]:
        try:
            return await self._transactions.write_pipelined(lambda tx: saving.save(tx, changes))
        except PortError as error:
            return [error] * len(changes)
        except Exception as error:  # noqa: BLE001 - handed to the caller whose change it is
            if len(changes) == 1:
                return [error]
            # The database refused a row, and with it the transaction. Stored alone, each change shows whose row it was.
            return [result for change in changes for result in await self._store([change])]
