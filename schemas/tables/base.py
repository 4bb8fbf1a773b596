"""What all tables have in common: names of constraints, JSON, closed lists of words, numbers from the database."""

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
"""Every constraint has a name, so that a migration in batch mode can find it on SQLite."""


class Row(SQLModel):
    """Base of the tables, with metadata of their own."""

    metadata = MetaData(naming_convention=NAMING)


class Json(JSON):
    """JSON in which None is SQL's NULL."""

    cache_ok = True

    def __init__(self) -> None:
        super().__init__(none_as_null=True)


class Words(TypeDecorator[str]):
    """Text from outside: PostgreSQL refuses the character NUL, so what has one gets U+FFFD in its place."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's
        """As it can be stored."""
        return storable(value)


def storable(value: str | None) -> str | None:
    """Text as a column of words keeps it."""
    return None if value is None else without_nul(value)


def serial() -> Column[int]:
    """A primary key that the database counts up and never gives twice."""
    return Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)


def one_of(column: str, words: type[StrEnum]) -> CheckConstraint:
    """A check that the column holds one of the enum's values: a word can be added without a new type."""
    values = ", ".join(f"'{word.value}'" for word in words)
    return CheckConstraint(f"{column} IN ({values})", name=column)


def table_of(model: type[Row]) -> Table:
    """The table of a model, for set-based statements."""
    return cast("Table", cast("Any", model).__table__)
