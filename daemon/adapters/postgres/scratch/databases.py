"""Scratch databases: made empty under a name that holds the reset's id, closed to others, and dropped."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

from daemon.adapters.postgres.errors import one_line
from daemon.adapters.postgres.scratch.servers import ScratchServer, session
from daemon.adapters.postgres.sessions import as_port_errors
from daemon.adapters.postgres.urls import Address
from daemon.ports.errors import PermanentError, PortError
from schemas.backups import Locale
from schemas.reasons import Reason
from schemas.wire import ResetId, ResourceKey

_PREFIX = "resetd-proof-"
_NAME = re.compile(rf"{_PREFIX}([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})-[0-9a-f]{{12}}")
_WITH_PROVIDER = 150_000


def prefix(reset: ResetId, resource: ResourceKey) -> str:
    """Return how the names of the scratch databases of this reset for one database begin: with 53 bytes."""
    return f"{_PREFIX}{reset}-{hashlib.sha256(resource.encode()).hexdigest()[:4]}"


@asynccontextmanager
async def scratch_database(
    server: ScratchServer, reset: ResetId, resource: ResourceKey, locale: Locale | None
) -> AsyncIterator[Address]:
    """Make an empty database from template0 for as long as the block runs. Its name has 61 bytes.

    Earlier ones of the same reset and database are dropped. No role but the account's own, and superusers, may connect.

    Raises:
        PermanentError: `no-scratch-server`: the server refuses to make it.
        PortError: as a connection's.
    """
    begin = prefix(reset, resource)
    name = f"{begin}{secrets.token_hex(4)}"
    async with session(server.where) as connection:
        await _drop(connection, server, await _names(connection, server, begin))
        options = sql.SQL("").join(_options(locale, server.version))
        try:
            await connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE template0{}").format(sql.Identifier(name), options)
            )
        except psycopg.OperationalError as error:
            with as_port_errors(server.where):
                raise error from error
        except psycopg.Error as error:
            detail = f"{server.name} makes no database for the proof: {one_line(str(error))}"
            raise PermanentError(Reason.NO_SCRATCH_SERVER, detail) from error
    try:
        async with session(server.where) as connection:
            with as_port_errors(server.where):
                await connection.execute(
                    sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name))
                )
        yield replace(server.where, name=name)
    finally:
        # What was found stands whether or not the server answers once more: what is left is swept later.
        with suppress(PortError):
            async with session(server.where) as connection:
                await _drop(connection, server, [name])


async def leftovers(server: ScratchServer) -> dict[str, ResetId]:
    """Return the scratch databases that are there, with the reset of each.

    Raises:
        PortError: as a connection's.
    """
    async with session(server.where) as connection:
        names = await _names(connection, server, _PREFIX)
    return {name: ResetId(match[1]) for name in names if (match := _NAME.fullmatch(name))}


async def drop(server: ScratchServer, names: Iterable[str]) -> None:
    """Drop scratch databases, and end who is connected to them.

    Raises:
        PortError: as a connection's.
    """
    async with session(server.where) as connection:
        await _drop(connection, server, names)


async def _names(connection: AsyncConnection[TupleRow], server: ScratchServer, begin: str) -> list[str]:
    with as_port_errors(server.where):
        found = await connection.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (begin,)
        )
        return [name for (name,) in await found.fetchall()]


async def _drop(connection: AsyncConnection[TupleRow], server: ScratchServer, names: Iterable[str]) -> None:
    with as_port_errors(server.where):
        for name in names:
            await connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )


def _options(locale: Locale | None, version: int) -> Iterable[sql.Composable]:
    """What makes texts sort there as in the dumped database."""
    if locale is None:
        return
    said = {"ENCODING": locale.encoding, "LC_COLLATE": locale.collate, "LC_CTYPE": locale.ctype}
    if version >= _WITH_PROVIDER:
        said["LOCALE_PROVIDER"] = {"i": "icu", "b": "builtin"}.get(locale.provider, "libc")
    if locale.locale is not None and locale.provider == "i":
        said["ICU_LOCALE"] = locale.locale
    elif locale.locale is not None and locale.provider == "b":
        said["BUILTIN_LOCALE"] = locale.locale
    for name, value in said.items():
        yield sql.SQL(f" {name} {{}}").format(sql.Literal(value))
