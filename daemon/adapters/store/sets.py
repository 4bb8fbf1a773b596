"""Statements over many rows that are one parameter: a JSON array of objects.

Their text is the same for any number of rows: it is made, planned and sent once for all of them, where a list of
parameter sets is bound column by column in Python and, on PostgreSQL, executed row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ColumnElement,
    CursorResult,
    Executable,
    FromClause,
    LargeBinary,
    Table,
    Text,
    bindparam,
    cast,
    column,
    func,
    insert,
    literal_column,
    select,
    true,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel.sql.sqltypes import UTCDateTime

from daemon.adapters.store.engine import as_json
from daemon.adapters.store.transactions import Tx

FLAG = Boolean()
NUMBER = BigInteger()
TEXT = Text()


Make = Callable[[FromClause], Executable]
"""Makes a statement of the rows, given as a table."""


@dataclass(frozen=True)
class SetStatement:
    """One statement for each of the databases."""

    on_postgres: Executable
    on_sqlite: Executable
    documents: tuple[str, ...]
    """Columns of the rows that hold JSON."""
    keys: tuple[str, ...] = ()
    """What tells rows apart that are put; of several with the same keys the last one counts."""

    async def run(self, tx: Tx, rows: Sequence[dict[str, Any]]) -> CursorResult[Any]:
        """Run it over the rows. Bytes have to be text in UTF-8, moments in UTC."""
        if self.keys:
            rows = list({tuple(row[key] for key in self.keys): row for row in rows}.values())
        plain = [row | {name: _document(row[name]) for name in self.documents} for row in rows]
        statement = self.on_postgres if tx.postgres else self.on_sqlite
        return await tx.connection.execute(statement, {"rows": as_json(plain)})


def over(table: Table, names: Sequence[str], make: Make, **more: Any) -> SetStatement:  # noqa: ANN401 - types
    """What `make` makes of rows that have columns of `table`, and `more` by name and type."""
    types = {name: table.c[name].type for name in names} | more
    return SetStatement(make(_recordset(types)), make(_each(types)), _documents(types))


def inserting(table: Table, names: Sequence[str]) -> SetStatement:
    """Insert the rows, numbered in the order of `nth`, which each of them says besides."""

    def make(given: FromClause) -> Executable:
        found = select(*(given.c[name] for name in names)).order_by(given.c.nth)
        return insert(table).from_select(names, found, include_defaults=False)

    return over(table, names, make, nth=NUMBER)


def upserting(table: Table, names: Sequence[str], keys: Sequence[str]) -> SetStatement:
    """Insert the rows, or set those that have the same keys."""
    types = {name: table.c[name].type for name in names}

    def make(putting: postgresql.Insert | sqlite.Insert, given: FromClause) -> Executable:
        # SQLite takes an ON after a bare FROM for a join's.
        found = select(*(given.c[name] for name in names)).where(true())
        putting = putting.from_select(names, found, include_defaults=False)
        setting = {name: putting.excluded[name] for name in names if name not in keys}
        return putting.on_conflict_do_update(index_elements=keys, set_=setting)

    return SetStatement(
        make(postgresql.insert(table), _recordset(types)),
        make(sqlite.insert(table), _each(types)),
        _documents(types),
        tuple(keys),
    )


def _documents(types: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name, kind in types.items() if isinstance(kind, JSON))


def _document(value: object) -> str | None:
    """A document goes as text within the array, so that nothing on its way reads what is in it."""
    return None if value is None else as_json(value)


def _recordset(types: Mapping[str, Any]) -> FromClause:
    """The rows as a table on PostgreSQL."""
    as_text = (JSON, LargeBinary)
    columns = (column(name, Text() if isinstance(kind, as_text) else kind) for name, kind in types.items())
    array = cast(bindparam("rows", type_=Text()), JSON())
    rows = func.json_to_recordset(array).table_valued(*columns).render_derived("recordset", with_types=True)

    def read(name: str, kind: Any) -> ColumnElement[Any]:  # noqa: ANN401 - SQLAlchemy's types
        if isinstance(kind, LargeBinary):
            return func.convert_to(rows.c[name], "UTF8")
        return cast(rows.c[name], kind) if isinstance(kind, JSON) else rows.c[name]

    return select(*(read(name, kind).label(name) for name, kind in types.items())).subquery("given")


def _each(types: Mapping[str, Any]) -> FromClause:
    """The rows as a table on SQLite."""
    rows = func.json_each(bindparam("rows", type_=Text())).table_valued("value", name="each")

    def read(name: str, kind: Any) -> ColumnElement[Any]:  # noqa: ANN401 - SQLAlchemy's types
        value = func.json_extract(rows.c.value, literal_column(f"'$.{name}'"))
        if isinstance(kind, UTCDateTime):
            # As SQLAlchemy writes it: 26 characters, without a zone.
            bare = func.replace(func.replace(value, "T", " "), "Z", "")
            return func.substr(bare.concat(".000000"), 1, 26)
        return cast(value, kind) if isinstance(kind, LargeBinary) else type_coerce(value, kind)

    return select(*(read(name, kind).label(name) for name, kind in types.items())).subquery("given")
