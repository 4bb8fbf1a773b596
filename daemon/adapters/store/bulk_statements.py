"""Statements over many rows: compiled once, and sent as one text that takes all of the rows.

Each statement is written over a table `given`, and a `WITH` clause in front of it makes that table of the rows. On
PostgreSQL the rows are one parameter, a JSON array, which costs the server less than a parameter for each value. On
SQLite they are VALUES, which cost it less than reading JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import chain
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ClauseElement,
    Dialect,
    FromClause,
    Table,
    Text,
    column,
    insert,
    select,
    table,
    true,
)
from sqlalchemy.dialects import postgresql, registry, sqlite
from sqlmodel.sql.sqltypes import UTCDateTime

from daemon.adapters.store.connections.engine import as_json
from daemon.adapters.store.connections.pipeline import BoundStatement, BoundStatements
from daemon.adapters.store.connections.transactions import Tx

BOOLEAN = Boolean()
BIGINT = BigInteger()
TEXT = Text()

_DIALECTS: dict[str, Dialect] = {name: registry.load(name)() for name in ("sqlite", "postgresql.psycopg")}

_MAX_PARAMETERS = 32_000
"""SQLite takes 32,766 parameters in a statement."""

Encoder = Callable[[Any], str]

Builder = Callable[[FromClause], ClauseElement]
"""Builds a statement over the table `given`. The statement answers text and numbers only."""


@dataclass(frozen=True)
class BulkStatement:
    """A statement over many rows, for each of the databases."""

    types: Mapping[str, Any]
    """The columns of `given`, in order, with their types."""
    for_postgres: ClauseElement
    for_sqlite: ClauseElement
    keys: tuple[str, ...] = ()
    """Columns that identify a row. Of several rows with the same keys the last one counts."""

    def bind(self, tx: Tx, rows: Sequence[Mapping[str, Any]]) -> BoundStatements:
        """Bind the statement to rows; no rows need no statement. Moments have to be in UTC."""
        if self.keys:
            rows = list({tuple(row[key] for key in self.keys): row for row in rows}.values())
        if tx.postgres:
            return (self._bind_postgres(rows),) if rows else ()
        size = _MAX_PARAMETERS // len(self.types)
        return tuple(self._bind_sqlite(rows[first : first + size]) for first in range(0, len(rows), size))

    def _bind_postgres(self, rows: Sequence[Mapping[str, Any]]) -> BoundStatement:
        # A document goes as text within the array, so that nothing on its way reads what is in it.
        values = _encoded(rows, self.types, self._json_encoders)
        return BoundStatement(
            self._postgres_text,
            {"rows": as_json([dict(zip(self.types, row, strict=True)) for row in values])},
        )

    def _bind_sqlite(self, rows: Sequence[Mapping[str, Any]]) -> BoundStatement:
        placeholders = ", ".join([self._row_placeholder] * len(rows))
        values = _encoded(rows, self.types, self._sqlite_encoders)
        return BoundStatement(
            f"{self._with_given} (VALUES {placeholders}) {self._sqlite_text}",
            tuple(chain.from_iterable(values)),
        )

    @cached_property
    def _json_encoders(self) -> dict[str, Encoder]:
        return {name: as_json for name, kind in self.types.items() if isinstance(kind, JSON)}

    @cached_property
    def _sqlite_encoders(self) -> dict[str, Encoder]:
        """Encoders for the values that SQLite's driver does not take as they are."""
        moments = {name: _sqlite_moment for name, kind in self.types.items() if isinstance(kind, UTCDateTime)}
        return self._json_encoders | moments

    @cached_property
    def _row_placeholder(self) -> str:
        return f"({', '.join('?' * len(self.types))})"

    @cached_property
    def _with_given(self) -> str:
        return f"WITH given ({', '.join(_quoted(name) for name in self.types)}) AS"

    @cached_property
    def _sqlite_text(self) -> str:
        return _compiled(self.for_sqlite, "sqlite")

    @cached_property
    def _postgres_text(self) -> str:
        types = {
            name: "TEXT" if isinstance(kind, JSON) else kind.compile(_DIALECTS["postgresql.psycopg"])
            for name, kind in self.types.items()
        }
        columns = ", ".join(f"{_quoted(name)} {kind}" for name, kind in types.items())
        values = ", ".join(
            f"CAST({_quoted(name)} AS JSON)" if name in self._json_encoders else _quoted(name)
            for name in types
        )
        rows = f"json_to_recordset(CAST(%(rows)s AS JSON)) AS recordset ({columns})"
        given = f"{self._with_given} (SELECT {values} FROM {rows})"  # noqa: S608 - names and types of columns
        return f"{given} {_compiled(self.for_postgres, 'postgresql.psycopg')}"


def bulk_statement(
    of: Table,
    columns: Sequence[str],
    **more: Any,  # noqa: ANN401 - types of columns
) -> Callable[[Builder], BulkStatement]:
    """Make a statement of the decorated function, which builds it over the table `given`.

    Args:
        of: The table that gives the columns their types.
        columns: Columns of `given` that are columns of that table.
        more: Further columns of `given`, by name and type.
    """
    types = {name: of.c[name].type for name in columns} | more

    def decorate(build: Builder) -> BulkStatement:
        statement = build(_given(types))
        return BulkStatement(types, statement, statement)

    return decorate


def bulk_insert(into: Table, columns: Sequence[str]) -> BulkStatement:
    """Make a statement that inserts the rows in the order of `nth`, a number that each row has besides."""
    types = {name: into.c[name].type for name in columns} | {"nth": BIGINT}
    given = _given(types)
    ordered = select(*(given.c[name] for name in columns)).order_by(given.c.nth)
    statement = insert(into).from_select(columns, ordered, include_defaults=False)
    return BulkStatement(types, statement, statement)


def bulk_upsert(into: Table, columns: Sequence[str], keys: Sequence[str]) -> BulkStatement:
    """Make a statement that inserts the rows, and updates those whose keys are there."""
    types = {name: into.c[name].type for name in columns}
    given = _given(types)

    def upsert(statement: postgresql.Insert | sqlite.Insert) -> ClauseElement:
        # WHERE true: after a bare FROM, SQLite takes the ON of ON CONFLICT for a join's.
        rows = select(*(given.c[name] for name in columns)).where(true())
        statement = statement.from_select(columns, rows, include_defaults=False)
        updated = {name: statement.excluded[name] for name in columns if name not in keys}
        return statement.on_conflict_do_update(index_elements=keys, set_=updated)

    return BulkStatement(types, upsert(postgresql.insert(into)), upsert(sqlite.insert(into)), tuple(keys))


def _given(types: Mapping[str, Any]) -> FromClause:
    return table("given", *(column(name, kind) for name, kind in types.items()))


def _compiled(statement: ClauseElement, database: str) -> str:
    return str(statement.compile(dialect=_DIALECTS[database], compile_kwargs={"literal_binds": True}))


def _quoted(name: str) -> str:
    return f'"{name}"'


def _encoded(
    rows: Sequence[Mapping[str, Any]], names: Iterable[str], encoders: Mapping[str, Encoder]
) -> Iterator[tuple[Any, ...]]:
    """Return the rows' values in the order of the names, those with an encoder as text."""
    columns = []
    for name in names:
        values: list[Any] = [row[name] for row in rows]
        if name in encoders:
            encode = encoders[name]
            values = [None if value is None else encode(value) for value in values]
        columns.append(values)
    return zip(*columns, strict=True)


def _sqlite_moment(value: datetime) -> str:
    """Write a moment as SQLAlchemy does on SQLite."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
