"""The contents of databases in memory. A row is a text, or the columns by name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from daemon.ports.errors import PermanentError
from schemas.checks import Ledger, RowsCheck, TableName, UnchangedCheck
from schemas.reasons import Reason
from schemas.wire import ResourceKey
from statemachines.steps.database_checks import Fingerprint, LedgerRow, Record
from tests.memory.databases import MemoryDatabase, MemoryDatabases


@dataclass(frozen=True)
class MemoryReader:
    """Implements `daemon.ports.contents.Reader`. SQL is not read, but for `finished_at` and `rolled_back_at`."""

    database: MemoryDatabase

    @property
    def incarnation(self) -> str:
        """See the port."""
        return self.database.incarnation

    async def ledger(self, ledger: Ledger) -> tuple[LedgerRow, ...] | None:
        """See the port."""
        rows = self._rows(ledger.table)
        return None if rows is None else tuple(_record(row, ledger) for row in rows)

    async def count(self, rows: RowsCheck) -> int | None:
        """See the port. A query is `TABLE` and the name of a table."""
        found = self._rows(rows.table or (_table(rows.query),))
        return None if found is None else min(len(found), rows.at_least)

    async def filled(self, besides: Sequence[TableName]) -> Mapping[str, bool]:
        """See the port."""
        return {
            f"public.{name}": bool(rows) for name, rows in self.database.tables.items() if name not in besides
        }

    async def table_numbers(self, besides: Sequence[TableName]) -> Mapping[str, int]:
        """See the port."""
        return {
            f"public.{name}": self.database.number(name)
            for name in self.database.tables
            if name not in besides
        }

    async def fingerprint(self, asked: UnchangedCheck) -> Fingerprint | None:
        """See the port."""
        rows = self._rows(asked.table or (_table(asked.query),))
        if rows is None:
            return None
        said = sorted(json.dumps(_chosen(row, asked.columns), sort_keys=True) for row in rows)
        return Fingerprint(len(rows), hashlib.sha256("\n".join(said).encode()).hexdigest()[:32])

    def _rows(self, names: Sequence[TableName]) -> list[Any] | None:
        found = [self.database.tables[name] for name in names if name in self.database.tables]
        return [row for rows in found for row in rows] if found else None


class MemoryContents:
    """Implements `daemon.ports.contents.Contents`."""

    def __init__(self, databases: MemoryDatabases) -> None:
        self._databases = databases
        self.open_now = 0
        """Sessions that are open."""

    @asynccontextmanager
    async def open(
        self,
        url: str,
        *,
        environment: str,  # noqa: ARG002 - the port's
        resource: ResourceKey,
    ) -> AsyncIterator[MemoryReader]:
        """See the port."""
        database = self._databases.at(url)
        if database.key != resource:
            raise PermanentError(Reason.DATABASE_MISMATCH, f"{database.key} answers, not {resource}")
        self.open_now += 1
        try:
            yield MemoryReader(database)
        finally:
            self.open_now -= 1


def _table(query: str | None) -> str:
    return (query or "").removeprefix("TABLE ")


def _record(row: Any, ledger: Ledger) -> LedgerRow:  # noqa: ANN401 - a row of any table
    if not isinstance(row, dict):
        return LedgerRow(str(row), Record.APPLIED)
    text = str(row[ledger.column])
    if ledger.undone and row.get("rolled_back_at"):
        return LedgerRow(text, Record.UNDONE)
    return LedgerRow(text, Record.APPLIED if not ledger.finished or row.get("finished_at") else Record.OPEN)


def _chosen(row: Any, columns: Sequence[str]) -> Any:  # noqa: ANN401 - a row of any table
    return [row[name] for name in columns] if columns and isinstance(row, dict) else row
