"""Statements over many rows: made once, and sent as text that takes all of the rows at once.

Each is written over a table `given`, and what stands in front of it makes that table of the rows: on PostgreSQL out of
one parameter, a JSON array, which costs it less than a parameter for each value; on SQLite out of VALUES, which cost
it less than looking into JSON.
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
from daemon.adapters.store.connections.pipeline import Sending, Sent
from daemon.adapters.store.connections.transactions import Tx

FLAG = Boolean()
NUMBER = BigInteger()
TEXT = Text()

_DIALECTS: dict[str, Dialect] = {name: registry.load(name)() for name in ("sqlite", "postgresql.psycopg")}

_MOST_VALUES = 32_000
"""SQLite takes 32,766 parameters in a statement."""

Write = Callable[[Any], str]

Make = Callable[[FromClause], ClauseElement]
"""Makes a statement of the rows, given as a table. Its answers have to be text and numbers."""


@dataclass(frozen=True)
class SetStatement:
    """A statement for each of the databases."""

    types: Mapping[str, Any]
    """Of the columns of a row, in order."""
    to_postgres: ClauseElement
    to_sqlite: ClauseElement
    keys: tuple[str, ...] = ()
    """What tells rows apart that are put; of several with the same keys the last one counts."""

    def over(self, tx: Tx, rows: Sequence[Mapping[str, Any]]) -> Sending:
        """The statement over the rows, ready to be sent; nothing where there are none. Moments have to be in UTC."""
        if self.keys:
            rows = list({tuple(row[key] for key in self.keys): row for row in rows}.values())
        if tx.postgres:
            return (self._postgres(rows),) if rows else ()
        many = _MOST_VALUES // len(self.types)
        return tuple(self._sqlite(rows[first : first + many]) for first in range(0, len(rows), many))

    def _postgres(self, rows: Sequence[Mapping[str, Any]]) -> Sent:
        # A document goes as text within the array, so that nothing on its way reads what is in it.
        values = _values(rows, self.types, self._documents)
        return Sent(
            self._text_for_postgres,
            {"rows": as_json([dict(zip(self.types, row, strict=True)) for row in values])},
        )

    def _sqlite(self, rows: Sequence[Mapping[str, Any]]) -> Sent:
        places = ", ".join([self._row] * len(rows))
        values = _values(rows, self.types, self._as_text)
        return Sent(
            f"{self._head} (VALUES {places}) {self._text_for_sqlite}", tuple(chain.from_iterable(values))
        )

    @cached_property
    def _documents(self) -> dict[str, Write]:
        return {name: as_json for name, kind in self.types.items() if isinstance(kind, JSON)}

    @cached_property
    def _as_text(self) -> dict[str, Write]:
        """What SQLite's driver does not take as it is."""
        moments = {name: _moment for name, kind in self.types.items() if isinstance(kind, UTCDateTime)}
        return self._documents | moments

    @cached_property
    def _row(self) -> str:
        return f"({', '.join('?' * len(self.types))})"

    @cached_property
    def _head(self) -> str:
        return f"WITH given ({', '.join(_quoted(name) for name in self.types)}) AS"

    @cached_property
    def _text_for_sqlite(self) -> str:
        return _written(self.to_sqlite, "sqlite")

    @cached_property
    def _text_for_postgres(self) -> str:
        typed = {
            name: "TEXT" if isinstance(kind, JSON) else kind.compile(_DIALECTS["postgresql.psycopg"])
            for name, kind in self.types.items()
        }
        columns = ", ".join(f"{_quoted(name)} {kind}" for name, kind in typed.items())
        read = ", ".join(
            f"CAST({_quoted(name)} AS JSON)" if name in self._documents else _quoted(name) for name in typed
        )
        rows = f"json_to_recordset(CAST(%(rows)s AS JSON)) AS recordset ({columns})"
        given = f"{self._head} (SELECT {read} FROM {rows})"  # noqa: S608 - names and types of columns
        return f"{given} {_written(self.to_postgres, 'postgresql.psycopg')}"


def over(of: Table, names: Sequence[str], make: Make, **more: Any) -> SetStatement:  # noqa: ANN401 - types
    """What `make` makes of rows that have columns of a table, and `more` by name and type."""
    types = {name: of.c[name].type for name in names} | more
    made = make(_given(types))
    return SetStatement(types, made, made)


def inserting(into: Table, names: Sequence[str]) -> SetStatement:
    """Insert the rows, numbered in the order of `nth`, which each of them says besides."""

    def make(given: FromClause) -> ClauseElement:
        found = select(*(given.c[name] for name in names)).order_by(given.c.nth)
        return insert(into).from_select(names, found, include_defaults=False)

    return over(into, names, make, nth=NUMBER)


def upserting(into: Table, names: Sequence[str], keys: Sequence[str]) -> SetStatement:
    """Insert the rows, or set those that have the same keys."""
    types = {name: into.c[name].type for name in names}
    given = _given(types)

    def make(putting: postgresql.Insert | sqlite.Insert) -> ClauseElement:
        # SQLite takes an ON after a bare FROM for a join's.
        found = select(*(given.c[name] for name in names)).where(true())
        putting = putting.from_select(names, found, include_defaults=False)
        setting = {name: putting.excluded[name] for name in names if name not in keys}
        return putting.on_conflict_do_update(index_elements=keys, set_=setting)

    return SetStatement(types, make(postgresql.insert(into)), make(sqlite.insert(into)), tuple(keys))


def _given(types: Mapping[str, Any]) -> FromClause:
    return table("given", *(column(name, kind) for name, kind in types.items()))


def _written(statement: ClauseElement, database: str) -> str:
    return str(statement.compile(dialect=_DIALECTS[database], compile_kwargs={"literal_binds": True}))


def _quoted(name: str) -> str:
    return f'"{name}"'


def _values(
    rows: Sequence[Mapping[str, Any]], names: Iterable[str], writing: Mapping[str, Write]
) -> Iterator[tuple[Any, ...]]:
    """The rows' values in the order of the names, with what the driver does not take as it is written as text."""
    columns = []
    for name in names:
        values: list[Any] = [row[name] for row in rows]
        if name in writing:
            write = writing[name]
            values = [None if value is None else write(value) for value in values]
        columns.append(values)
    return zip(*columns, strict=True)


def _moment(value: datetime) -> str:
    """As SQLAlchemy writes it on SQLite."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
