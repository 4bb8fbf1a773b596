"""Checks that the daemon makes of a database itself, over a connection of its own: the shapes of catalog and plan.

A command's exit code is a claim. A check says what has to be in the database once the claim is true.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from schemas.patterns import Pattern
from schemas.sql import check_expression, check_question
from schemas.wire import ResourceKey, Wire

_WORD = r"[A-Za-z_][A-Za-z0-9_$]{0,62}"
TableName = Annotated[str, StringConstraints(pattern=rf"^({_WORD}\.)?{_WORD}$")]
"""A table as the database spells it, upper and lower case included; `SCHEMA.TABLE` where the schema matters."""
ColumnName = Annotated[str, StringConstraints(pattern=rf"^{_WORD}$")]

Sql = Annotated[str, StringConstraints(min_length=1, max_length=4000, strip_whitespace=True)]
"""SQL of the catalog. Nothing of an event ever becomes a part of it. A catalog's is looked at when it is read; a plan's
stays as it is, so that plans of an earlier version can be read."""

Tables = Annotated[tuple[TableName, ...], Field(min_length=1, max_length=20)]
"""Names that a table may have, where versions of a service spell it differently. Those that exist are looked at."""


Program = Annotated[tuple[Annotated[str, StringConstraints(min_length=1)], ...], Field(min_length=1)]


class KnownLedger(StrEnum):
    """Ledgers whose table and columns resetd knows."""

    PRISMA = "prisma"  # _prisma_migrations; its ids are the names of the migrations' directories
    TYPEORM = "typeorm"  # migrations; its ids are the 13 digits of the timestamp in file and class name


class Ledger(Wire):
    """The table in which a migration tool records what it applied."""

    table: Tables
    column: Sql
    """A column, or an SQL expression over the row, with the text that names the migration."""
    pattern: str
    """A regular expression (RE2's). It finds the migration's id in that text, and in each line of the list of what the
    image carries: by its one group, or all that it matches."""
    finished: Sql | None = None
    """An SQL condition over the row that holds once the migration is applied; a row is enough unless it is given."""
    undone: Sql | None = None
    """An SQL condition over the row that holds where the migration was rolled back: the row does not count."""


class MigrationsCheck(Wire):
    """Each migration that the image carries is recorded as applied, and the image carries at least one."""

    directory: str | None = None
    """Where the image has its migrations, relative to the container's working directory."""
    list: Program | None = None
    """argv of a command that prints a line for each migration of the image, where no directory has them."""
    ledger: KnownLedger | Ledger
    table: Tables | None = None
    """Names that the table of a known ledger may have, where it was given another one."""

    @model_validator(mode="after")
    def _lists_in_one_way(self) -> Self:
        if (self.directory is None) == (self.list is None):
            raise ValueError("give directory or list")
        if self.table is not None and isinstance(self.ledger, Ledger):
            raise ValueError("the ledger names its table")
        return self


def _of_catalog(migrations: MigrationsCheck) -> MigrationsCheck:
    ledger = migrations.ledger
    if isinstance(ledger, Ledger):
        if Pattern(ledger.pattern).groups > 1:
            raise ValueError("at most one group: what it finds is the migration's id")
        for text in (ledger.column, ledger.finished, ledger.undone):
            if text is not None:
                check_expression(text)
    return migrations


MigrationsEntry = Annotated[MigrationsCheck, AfterValidator(_of_catalog)]
"""The check of the migrations in the catalog: its pattern compiles, and its SQL are expressions."""


class Absent(StrEnum):
    """What it means that the database has none of the tables of a check."""

    FAIL = "fail"  # the check is not met
    TELL = "tell"  # it is said in the outcome's facts, and the check says nothing


class RowsCheck(Wire):
    """There are rows: in a table, in the answer of a query, or in any table beside the ledger."""

    table: Tables | None = None
    where: Sql | None = None
    """A condition of the rows of `table` that count."""
    query: Sql | None = None
    """A SELECT whose rows count."""
    any_table: bool = False
    """Counts the tables beside the migrations' ledger that have a row."""
    at_least: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    absent: Absent = Absent.FAIL

    @model_validator(mode="after")
    def _counts_one_thing(self) -> Self:
        if (self.table is not None) + (self.query is not None) + self.any_table != 1:
            raise ValueError("give one of table, query and anyTable")
        if self.table is None and (self.where is not None or self.absent is Absent.TELL):
            raise ValueError("where and absent belong to table")
        return self


class UnchangedCheck(Wire):
    """What a query or the rows of a table say is the same after the command as right before it."""

    table: Tables | None = None
    columns: tuple[ColumnName, ...] = ()
    """The columns that are compared; all unless given. Leave surrogate ids and times of change out."""
    where: Sql | None = None
    query: Sql | None = None
    absent: Absent = Absent.FAIL

    @model_validator(mode="after")
    def _compares_one_thing(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("give table or query")
        if self.table is None and (self.columns or self.where is not None or self.absent is Absent.TELL):
            raise ValueError("columns, where and absent belong to table")
        return self


class LearnedCheck(Wire):
    """The tables that had rows after the step in the last wipe that was done have rows again.

    What they are is learned, not written down: a catalog can't know the tables of another team.
    """

    emptied: bool
    """Whether this plan wipes the database first. Only then do rows show that a step wrote them, and only of such a
    reset is learned, once it is done."""


class CheckEntry(Wire):
    """A check of a step in the catalog."""

    database: str | None = None
    """The catalog's name of the database; the only one that the step writes to unless given."""
    rows: RowsCheck | None = None
    unchanged: UnchangedCheck | None = None
    learned: bool = False
    """Whether the step has to leave rows in the tables in which it left some in the last wipe that was done."""

    @model_validator(mode="after")
    def _is_one_check(self) -> Self:
        if (self.rows is not None) + (self.unchanged is not None) + self.learned != 1:
            raise ValueError("give one of rows, unchanged and learned")
        return self

    @model_validator(mode="after")
    def _asks_one_question(self) -> Self:
        for asked in (self.rows, self.unchanged):
            if asked is not None and asked.query is not None:
                check_question(asked.query)
            if asked is not None and asked.where is not None:
                check_expression(asked.where)
        return self


class PlannedCheck(Wire):
    """A check in a plan: exactly one of `migrations`, `rows`, `unchanged` and `learned`, in one database."""

    database: str
    """The catalog's name of the database, whose URL the service's pod shows."""
    resource: ResourceKey
    """The database that has to answer there: in any other one nothing is checked."""
    migrations: MigrationsCheck | None = None
    rows: RowsCheck | None = None
    unchanged: UnchangedCheck | None = None
    learned: LearnedCheck | None = None
    ledgers: tuple[TableName, ...] = ()
    """Tables that never count as rows: the migrations' ledgers."""

    @property
    def name(self) -> str:
        """The check's name for people and in an attempt's facts: `rows core roles`, `learned.core`."""
        if self.learned is not None:
            return f"learned.{self.database}"  # one word: people type it (`resetd accept`)
        kind = "migrations" if self.migrations else "rows" if self.rows else "unchanged"
        check = self.rows or self.unchanged
        what = ""
        if check is not None:
            what = "/".join(check.table or ()) or ("any table" if check.query is None else "query")
            condition = check.where if check.table else check.query
            what = " ".join(filter(None, (what, condition)))
        return " ".join(filter(None, (kind, self.database, what)))
