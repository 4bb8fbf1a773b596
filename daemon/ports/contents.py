"""The contents of an environment's database, as the daemon reads them itself: it changes nothing and stays a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from schemas.checks import Ledger, RowsCheck, TableName, UnchangedCheck
from schemas.wire import ResourceKey
from statemachines.steps.database_checks import Fingerprint, LedgerRow

MOST_LEDGER_ROWS = 20_000
"""Rows of a ledger that are read; a longer one is no answer."""


class Reader(Protocol):
    """One short session.

    A table is found by its exact name, in the schemas that the service's tool uses: the one that the URL names; else
    those of the search path, in their order, and then `public`. A name with a schema (`SCHEMA.TABLE`) is found there.
    SQL of the catalog is asked with the same search path.

    Every method raises TemporaryError or PermanentError with `check-failed` where the database refuses the question or
    takes too long: that is no answer, and never a row less.
    """

    @property
    def incarnation(self) -> str:
        """The server's running process, and the database in it, that this very session is in: `Witness.incarnation`."""
        ...

    async def ledger(self, ledger: Ledger) -> tuple[LedgerRow, ...] | None:
        """Return all rows of a migration ledger; None where none of its tables exists."""
        ...

    async def count(self, rows: RowsCheck) -> int | None:
        """Count rows of `table` or `query`, up to `at_least`; None where none of the tables exists.

        Rows of all tables that exist are counted together. Rows that the session may not see are an error.
        """
        ...

    async def filled(self, besides: Sequence[TableName]) -> Mapping[str, bool]:
        """Tell of each table of those schemas, by `SCHEMA.TABLE`, whether it has a row.

        Tables of `besides` are left out; a schema that one of them names is looked at, too.
        """
        ...

    async def table_numbers(self, besides: Sequence[TableName]) -> Mapping[str, int]:
        """Return the number by which the server knows each of those tables, by `SCHEMA.TABLE`.

        A table that was dropped and made anew has another number.
        """
        ...

    async def fingerprint(self, asked: UnchangedCheck) -> Fingerprint | None:
        """Return what the rows say, whatever their order; None where none of the tables exists."""
        ...


class Contents(Protocol):
    """Opens sessions by connections of the daemon's own, with the URL that a pod shows."""

    def open(
        self, url: str, *, environment: str, resource: ResourceKey
    ) -> AbstractAsyncContextManager[Reader]:
        """Open a session that reads, and ends with the block: nothing of it makes a later statement of others wait.

        Raises:
            TemporaryError: `database-unreachable`.
            PermanentError: `database-unidentified`, or `database-mismatch`: another database than `resource` answers.
        """
        ...
