"""What all tables share: names of constraints, and columns for JSON, text from outside, closed lists and serial ids."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Dialect,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
)
from sqlmodel import SQLModel

from schemas.wire import without_nul

NAMING = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}
"""The pattern of the constraints' names. By its name a migration in batch mode finds a constraint on SQLite."""


class Row(SQLModel):
    """The base of the tables, with metadata of their own."""

    metadata = MetaData(naming_convention=NAMING)


class Json(JSON):
    """A JSON column in which None is SQL's NULL."""

    cache_ok = True

    def __init__(self) -> None:
        super().__init__(none_as_null=True)


class Words(TypeDecorator[str]):
    """A column for text from outside, which may hold the character NUL: PostgreSQL refuses it, so U+FFFD is stored."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's
        """Return the text as it is stored."""
        return storable(value)


def storable(value: str | None) -> str | None:
    """Return text as a column of `Words` stores it."""
    return None if value is None else without_nul(value)


def serial() -> Column[int]:
    """Make a primary key that the database counts up and gives only once."""
    return Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)


def one_of(column: str, words: type[StrEnum]) -> CheckConstraint:
    """Make a constraint that the column holds one of the enum's values. A value can be added without a new type."""
    values = ", ".join(f"'{word.value}'" for word in words)
    return CheckConstraint(f"{column} IN ({values})", name=column)


def table_of(model: type[Row]) -> Table:
    """Return the table of a model, for set-based statements."""
    return cast("Table", cast("Any", model).__table__)
