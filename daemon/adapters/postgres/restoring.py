"""Putting a dump back: one transaction that drops what is there, restores, compares, and commits.

pg_restore writes the statements, and psql runs them. Between the two a cut looks like an end. So this module sends
COMMIT, and only after pg_restore has ended well; without it psql's session is dropped, and nothing has changed.
pg_restore's own `--clean` would leave what the dump does not know, such as tables of later migrations.
"""

from __future__ import annotations

import asyncio
import re
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib.resources import files
from tempfile import NamedTemporaryFile

from daemon.adapters.postgres.errors import one_line, program_error
from daemon.adapters.postgres.programs import Programs, run, running
from daemon.adapters.postgres.reading import Feeding, reading
from daemon.adapters.postgres.urls import Address
from daemon.ports.errors import PermanentError
from schemas.reasons import Reason

_CHUNK_BYTES = 65536
_HEAD_BYTES = 2048
# Programs from version 17 on begin every script with it. Older servers do not know it, and 0 is the default.
_TRANSACTION_TIMEOUT = b"SET transaction_timeout = 0;\n"
_ENTRY = re.compile(r"^\d+; \d+ \d+ ")
_TABLE_ENTRY = re.compile(r"^\d+; \d+ \d+ TABLE (?!DATA |ATTACH )", re.MULTILINE)
# Entries that a plain owner may not restore, and that are in every database anyway.
_SUPERUSER_ENTRY = re.compile(r" COMMENT - (EXTENSION|SCHEMA public) ")

CLEARING = files("daemon.adapters.postgres").joinpath("clear_database.sql")
"""Drops everything but extensions. `docs/operations.md` has people run the same script."""

# What the script leaves in place, so that the dump must not make it again: schemas that extensions live in, and what
# belongs to others, which a plain owner may neither drop nor make.
_KEPT = """
SELECT 'SCHEMA - ' || nspname FROM pg_namespace n
 WHERE EXISTS (SELECT FROM pg_extension x WHERE x.extnamespace = n.oid)
    OR EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid
                AND d.deptype = 'e')
UNION ALL
SELECT 'PUBLICATION - ' || pubname FROM pg_publication
 WHERE NOT (pg_has_role(pubowner, 'USAGE') OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user))
UNION ALL
SELECT 'SERVER - ' || srvname FROM pg_foreign_server
 WHERE NOT (pg_has_role(srvowner, 'USAGE') OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user))
UNION ALL
SELECT 'USER MAPPING - USER MAPPING ' || m.usename || ' SERVER ' || m.srvname
  FROM pg_user_mappings m JOIN pg_foreign_server s ON s.oid = m.srvid
 WHERE NOT (pg_has_role(srvowner, 'USAGE') OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user))
UNION ALL
SELECT 'FOREIGN DATA WRAPPER - ' || fdwname FROM pg_foreign_data_wrapper
 WHERE NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
UNION ALL
SELECT 'CAST - CAST (' || format_type(castsource, NULL) || ' AS ' || format_type(casttarget, NULL) || ')' FROM pg_cast
 WHERE NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
   AND oid >= 16384 AND castsource < 16384 AND casttarget < 16384
UNION ALL
SELECT 'EVENT TRIGGER - ' || evtname FROM pg_event_trigger
 WHERE NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
UNION ALL
SELECT 'FUNCTION ' || n.nspname || ' ' || p.proname || '()' FROM pg_event_trigger e
  JOIN pg_proc p ON p.oid = e.evtfoid JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
"""
# The owners that this role may make things for. What others owned comes back as this role's own.
_OWNERS = "SELECT rolname FROM pg_roles WHERE pg_has_role(oid, 'MEMBER')"

# Compares the number of tables with the dump's, and commits.
_COMPARE_AND_COMMIT = """
DO $resetd$
DECLARE found bigint;
BEGIN
    SELECT count(*) INTO found FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                        AND d.objid = c.oid AND d.deptype = 'e');
    IF found <> {tables} THEN
        RAISE EXCEPTION 'the dump has {tables} tables, the database % after the restore', found;
    END IF;
END
$resetd$;
COMMIT;
"""


@dataclass(frozen=True)
class Dump:
    """A stored dump, which may be read several times."""

    name: str
    open: Callable[[], AbstractAsyncContextManager[AsyncIterable[bytes]]]


async def restore_into(programs: Programs, dump: Dump, where: Address) -> None:
    """Replace the contents of the database at `where` by the dump's.

    Raises:
        PermanentError: `backup-unproven` where the dump can't be read to its end, `backup-failed` otherwise.
        TemporaryError: the database went away, or somebody held locks too long.
    """
    async with dump.open() as read, reading([programs["pg_restore"], "--list"], read) as lister:
        listing = (await lister.stdout.read()).decode("utf-8", "replace")
        errors, code = await lister.errors(), await lister.wait()
    if code != 0:
        raise PermanentError(Reason.BACKUP_UNPROVEN, f"{dump.name}: {one_line(errors)}")
    kept = await _ask(programs, where, _KEPT)
    owners = set(await _ask(programs, where, _OWNERS))
    entries = [line for line in listing.splitlines() if _ENTRY.match(line)]
    of_others = any(line.rpartition(" ")[2] not in owners for line in entries)
    compare = _COMPARE_AND_COMMIT.format(tables=len(_TABLE_ENTRY.findall(listing)))
    psql = [programs["psql"], "--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--file=-"]
    with NamedTemporaryFile("w", encoding="utf-8", prefix="resetd-", suffix=".list") as chosen:
        chosen.write("".join(f"{line}\n" for line in listing.splitlines() if not _is_left_out(line, kept)))
        chosen.flush()
        reader = [programs["pg_restore"], "--file=-", f"--use-list={chosen.name}"]
        if of_others:
            reader.insert(1, "--no-owner")
        async with (
            running([*psql, f"--dbname={where.conninfo()}"], where, stdin=PIPE) as session,
            dump.open() as read,
            reading(reader, read) as statements,
        ):
            saying = asyncio.create_task(_read_all(session.stderr))
            try:
                unread = not await _pipe(statements, session, compare)
                session_errors, reader_errors = await saying, await statements.errors()
            finally:
                saying.cancel()
    if unread:
        raise PermanentError(Reason.BACKUP_UNPROVEN, f"{dump.name}: {one_line(reader_errors)}")
    if session.returncode != 0:
        raise program_error(where, "restore", session_errors)


async def _ask(programs: Programs, where: Address, query: str) -> tuple[str, ...]:
    """The one column of a query's answer, for `_KEPT` as `pg_restore --list` writes it: kind, schema and name."""
    argv = [programs["psql"], "--no-psqlrc", "--quiet", "--no-password", "--tuples-only", "--no-align"]
    asked = [*argv, "--set=ON_ERROR_STOP=1", f"--command={query}", f"--dbname={where.conninfo()}"]
    code, answer, errors = await run(asked, where, timeout=60)
    if code != 0:
        raise program_error(where, "restore", errors)
    return tuple(line for line in answer.splitlines() if line)


def _is_left_out(line: str, kept: tuple[str, ...]) -> bool:
    """Whether an entry of the dump's list is not restored: it is there, or a plain owner may not make it."""
    return bool(_SUPERUSER_ENTRY.search(line)) or any(f" {entry} " in line for entry in kept)


async def _pipe(statements: Feeding, session: asyncio.subprocess.Process, compare: str) -> bool:
    """Send all statements and COMMIT to psql; False where pg_restore failed, so that COMMIT was not sent."""
    read = True
    try:
        await _send(session, "BEGIN;\n" + CLEARING.read_text(encoding="utf-8"))
        _stdin(session).write((await _head(statements.stdout)).replace(_TRANSACTION_TIMEOUT, b""))
        while chunk := await statements.stdout.read(_CHUNK_BYTES):
            _stdin(session).write(chunk)
            await _stdin(session).drain()
        read = await statements.wait() == 0
        if read:
            await _send(session, compare)
            _stdin(session).close()
    except (BrokenPipeError, ConnectionResetError):
        # psql has given up, and says why. pg_restore would wait for ever for somebody to read on.
        statements.kill()
    if not read:
        session.kill()
    await session.wait()
    return read


async def _head(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readexactly(_HEAD_BYTES)
    except asyncio.IncompleteReadError as error:
        return error.partial


async def _send(session: asyncio.subprocess.Process, text: str) -> None:
    _stdin(session).write(text.encode())
    await _stdin(session).drain()


def _stdin(process: asyncio.subprocess.Process) -> asyncio.StreamWriter:
    assert process.stdin is not None
    return process.stdin


async def _read_all(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None
    return (await stream.read()).decode("utf-8", "replace")
