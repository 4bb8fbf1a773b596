"""One writer for the changes of many resets: those that wait while a commit is under way share the next one.

A commit costs the disk the same for one change as for fifty, and the disk is what a durable step waits for. Nothing
waits for company: the writer takes what is there as soon as it is free.
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

AT_MOST = 100
"""Changes in one transaction: it holds their environments' rows until it is over."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    change: Change
    answer: asyncio.Future[Reset]


class SharedCommits:
    """Each change is stored or refused by itself, whatever becomes of those beside it."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None

    async def save(self, change: Change) -> Reset:
        """Durable when this returns. Changes of one reset are stored in the order of their calls.

        A caller that is cancelled leaves the queue; once the writer has its change, it waits for the answer first.

        Raises:
            LeaseLostError: the reset is another holder's by now.
            ValueError: a sequence would leave a gap, or a plan is not the one that its reset names.
            TemporaryError: the database does not answer; the change may have been stored nevertheless.
        """
        check_commit(change.reset, change.plan, change.history)
        waiting = _Waiting(change, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        try:
            return await asyncio.shield(waiting.answer)
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            else:
                await asyncio.wait({waiting.answer})
            raise

    async def close(self) -> None:
        """Wait until all changes are answered."""
        while self._writer is not None:
            await asyncio.wait({self._writer})

    async def _write(self) -> None:
        taken: list[_Waiting] = []
        try:
            while self._waiting:
                taken = self._take()
                answers = await self._store([each.change for each in taken])
                for each, answer in zip(taken, answers, strict=True):
                    if isinstance(answer, Exception):
                        each.answer.set_exception(answer)
                        each.answer.exception()  # a caller that was cancelled does not ask
                    else:
                        each.answer.set_result(answer)
        finally:
            # A writer that is cancelled itself leaves nobody waiting for an answer that will not come.
            for each in (*taken, *self._waiting):
                each.answer.cancel()
            self._waiting, self._writer = [], None

    def _take(self) -> list[_Waiting]:
        """The oldest change of each reset: the next one of the same reset builds on what becomes of it."""
        taken: dict[ResetId, _Waiting] = {}
        left = []
        for each in self._waiting:
            if len(taken) < AT_MOST and each.change.reset.id not in taken:
                taken[each.change.reset.id] = each
            else:
                left.append(each)
        self._waiting = left
        return list(taken.values())

    async def _store(self, changes: Sequence[Change]) -> Sequence[Reset | Exception]:
        try:
            return await self._transactions.write_at_once(lambda tx: saving.save(tx, changes))
        except PortError as error:
            return [error] * len(changes)
        except Exception as error:  # noqa: BLE001 - handed to the caller whose change it is
            if len(changes) == 1:
                return [error]
            # The database refused a row, and with it the transaction. Whose row it was shows when each goes alone.
            return [answer for change in changes for answer in await self._store([change])]
