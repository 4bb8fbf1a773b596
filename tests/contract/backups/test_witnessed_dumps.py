"""B3, B4: a dump is of the witness' database, whole, and leaves no session behind. Shown by real, copied servers.

Over 300 lines: its stands of real servers are shared by all of its tests.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from daemon.adapters.dumps.directory import DirectoryDumps
from daemon.adapters.postgres.backups import PostgresBackups
from daemon.adapters.postgres.databases import PostgresDatabases
from daemon.adapters.postgres.reading import RowCounter
from daemon.adapters.postgres.snapshots import exported
from daemon.adapters.postgres.urls import parse_address
from daemon.ports.backups import Backup
from daemon.ports.databases import Witness
from daemon.ports.errors import PermanentError
from sandbox.postgres import POD_HOST, Server, copy, fronts, start
from sandbox.postgres.databases import create
from schemas.reasons import Reason
from tests.contract.backups.conftest import ENVIRONMENT
from tests.contract.backups.test_directory import files, program
from tests.contract.conftest import NETWORK, PASSWORD, libpq

ATTEMPT = "r/backup.core/1"
ROWS_OF_A, ROWS_OF_B = 5, 7
_TRIES_AT_ONE_SNAPSHOT_ID = 10
"""A server's own work, such as autovacuum, may take a transaction id between the count and the dump."""
_ODD_TABLES = r"""
CREATE SCHEMA "Odd.Schema";
CREATE TABLE "Odd.Schema"."a ""table"" FROM stdin;" (text text);
INSERT INTO "Odd.Schema"."a ""table"" FROM stdin;" VALUES (E'\\.'), (E'two\nlines'), (E'\\.\n'), (''), (NULL);
CREATE TABLE "Odd.Schema"."line
break" ();
INSERT INTO "Odd.Schema"."line
break" DEFAULT VALUES;
INSERT INTO "Odd.Schema"."line
break" DEFAULT VALUES;
CREATE TABLE "select" (made int GENERATED ALWAYS AS (1) STORED);
INSERT INTO "select" DEFAULT VALUES;
CREATE TABLE empty (id int);
CREATE TABLE parent (id int);
CREATE TABLE child () INHERITS (parent);
INSERT INTO parent VALUES (1);
INSERT INTO child VALUES (2), (3);
CREATE TABLE split (id int) PARTITION BY RANGE (id);
CREATE TABLE split_low PARTITION OF split FOR VALUES FROM (0) TO (10);
INSERT INTO split VALUES (1), (2);
CREATE UNLOGGED TABLE unlogged (id int);
INSERT INTO unlogged VALUES (1);
CREATE MATERIALIZED VIEW seen AS SELECT * FROM split;
CREATE FUNCTION said() RETURNS text LANGUAGE sql AS $$ SELECT '
COPY public.parent (id) FROM stdin;
1
' $$;
SELECT lo_from_bytea(0, '\x00ff'::bytea);
"""
_ODD_ROWS = {
    'Odd.Schema.a "table" FROM stdin;': 5,
    "Odd.Schema.line\nbreak": 2,
    "public.select": 1,
    "public.empty": 0,
    "public.parent": 1,
    "public.child": 2,
    "public.split_low": 2,
    "public.unlogged": 1,
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """Make two servers: A, and a copy of it with other rows in the same tables."""
    directory = tmp_path_factory.mktemp("servers")
    a = start(directory, "a")
    create(a, ["core", "odd"], PASSWORD)
    with psycopg.connect(libpq(url_of(a)), autocommit=True) as connection:
        connection.execute("CREATE TABLE people AS SELECT n FROM generate_series(1, %s) n", (ROWS_OF_A,))
    b = copy(a, directory, "b")
    with psycopg.connect(libpq(url_of(b)), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO people SELECT generate_series(%s::int, %s::int)", (ROWS_OF_A + 1, ROWS_OF_B)
        )
    yield a, b
    b.discard()
    a.discard()


def url_of(server: Server, database: str = "core") -> str:
    return server.pod_url(database, "fuse", PASSWORD)


@asynccontextmanager
async def witness_of(server: Server, database: str = "core") -> AsyncIterator[Witness]:
    async with PostgresDatabases(NETWORK).witness(
        url_of(server, database), environment=ENVIRONMENT
    ) as witness:
        yield witness


async def dump(root: Path, url: str, witness: Witness, pg_bin: Path | None = None) -> Backup:
    return await PostgresBackups(DirectoryDumps(root), pg_bin, NETWORK).dump(
        url,
        environment=ENVIRONMENT,
        resource=witness.identity.key,
        attempt=ATTEMPT,
        witness=witness,
    )


async def refused(root: Path, url: str, witness: Witness, pg_bin: Path | None = None) -> PermanentError:
    with pytest.raises(PermanentError) as raised:
        await dump(root, url, witness, pg_bin)
    assert files(root) == set()
    return raised.value


def rows_of(root: Path, backup: Backup) -> dict[str, int]:
    rows: dict[str, int] = json.loads((root / f"{backup.path}.json").read_text())["rows"]
    return rows


@pytest.mark.parametrize("to_a", [0, 1, 2])
async def test_b3_connections_that_go_to_a_first_and_then_to_b_make_no_backup(
    servers: tuple[Server, Server], tmp_path: Path, to_a: int
) -> None:
    a, b = servers
    async with witness_of(a) as witness, fronts.switch(*[a.port] * to_a, b.port) as port:
        url = url_of(a).replace(f":{a.port}/", f":{port}/")
        found = await refused(tmp_path, url, witness)
    assert found.reason is Reason.DATABASE_MISMATCH
    assert found.hint


async def test_b3_a_pg_dump_that_is_led_to_b_is_not_seen_and_its_dump_is_thrown_away(
    servers: tuple[Server, Server], tmp_path: Path
) -> None:
    """B takes the id of A's snapshot, so pg_dump dumps B without an error."""
    a, b = servers
    elsewhere = (
        f'n=$#; while [ $n -gt 0 ]; do a=$1; shift; n=$((n-1)); a=$(echo "$a" | sed "s/port={a.port}/port={b.port}/");'
        f' set -- "$@" "$a"; done; exec "$real" "$@"'
    )
    program(tmp_path / "bin", "pg_dump", elsewhere)
    for _ in range(_TRIES_AT_ONE_SNAPSHOT_ID):
        before = len(b.log.read_text())
        async with witness_of(a) as of_a, witness_of(b) as of_b, one_snapshot_id(a, of_a, b, of_b):
            found = await refused(tmp_path / "store", url_of(a), of_a, tmp_path / "bin")
        log_of_b = b.log.read_text()[before:]
        assert "application_name=resetd-dump-" in log_of_b
        if "ERROR" not in log_of_b:
            break
    assert "ERROR" not in log_of_b
    assert found.reason is Reason.DATABASE_MISMATCH
    assert "not seen" in found.detail


@asynccontextmanager
async def one_snapshot_id(a: Server, of_a: Witness, b: Server, of_b: Witness) -> AsyncIterator[None]:
    """Hold a snapshot on B that has the id of the one that a dump of A is about to export."""
    at_a, at_b = (parse_address(url_of(server), ENVIRONMENT, NETWORK) for server in (a, b))

    async def exported_by_a() -> int:
        async with exported(at_a, of_a) as snapshot:
            return int(snapshot.id.split("-")[1], 16)

    first = await exported_by_a()
    each = await exported_by_a() - first
    transactions(a, 10)
    others = await exported_by_a() - first - 2 * each - 10
    transactions(b, 1000)  # far ahead of A
    async with exported(at_b, of_b) as snapshot:
        transactions(a, int(snapshot.id.split("-")[1], 16) - await exported_by_a() - each - others)
        yield


def transactions(server: Server, number: int) -> None:
    with psycopg.connect(libpq(url_of(server)), autocommit=True) as connection:
        for _ in range(number):
            connection.execute("SELECT", prepare=False)


async def test_b3_a_pg_dump_that_asks_no_server_at_all_is_not_believed(
    servers: tuple[Server, Server], tmp_path: Path
) -> None:
    a, _ = servers
    async with witness_of(a) as witness:
        good = await dump(tmp_path / "good", url_of(a), witness)
        old = shlex.quote(str(tmp_path / "good" / good.path))
        program(
            tmp_path / "bin",
            "pg_dump",
            f'for a; do case $a in --file=*) cp {old} "${{a#--file=}}";; esac; done',
        )
        found = await refused(tmp_path / "store", url_of(a), witness, tmp_path / "bin")
    assert found.reason is Reason.DATABASE_MISMATCH


async def test_b3_a_dump_by_the_witness_address_holds_what_was_counted(
    servers: tuple[Server, Server], tmp_path: Path
) -> None:
    a, _ = servers
    async with witness_of(a) as witness:
        backup = await dump(tmp_path, url_of(a), witness)
    assert rows_of(tmp_path, backup) == {"public.people": ROWS_OF_A}


async def test_the_sessions_of_a_dump_are_gone_when_it_is_made(
    servers: tuple[Server, Server], tmp_path: Path
) -> None:
    """A session that counted rows would make the reset's own `DROP SCHEMA` wait."""
    a, _ = servers
    with psycopg.connect(libpq(url_of(a)), autocommit=True) as service:
        service.execute("CREATE SCHEMA doomed CREATE TABLE doomed.t (id int)")
        service.execute("SET lock_timeout = '1ms'")
        async with witness_of(a) as witness:
            await dump(tmp_path, url_of(a), witness)
            service.execute("DROP SCHEMA doomed CASCADE")
            others = service.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = 'core' AND pid NOT IN (pg_backend_pid(), %s)"
                " AND state <> 'idle' AND backend_type = 'client backend'",
                (witness.pid,),
            ).fetchone()
    assert others == (0,)


async def test_a_dump_that_is_cancelled_leaves_no_session(
    servers: tuple[Server, Server], tmp_path: Path
) -> None:
    a, _ = servers
    program(
        tmp_path / "bin", "pg_dump", f'touch {shlex.quote(str(tmp_path))}/begun; "$real" "$@"; exec sleep 60'
    )
    async with witness_of(a) as witness:
        dumping = asyncio.create_task(dump(tmp_path / "store", url_of(a), witness, tmp_path / "bin"))
        async with asyncio.timeout(20):
            while not (tmp_path / "begun").exists():  # noqa: ASYNC110 - a file has no event
                await asyncio.sleep(0.02)
        dumping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dumping
        async with (
            asyncio.timeout(20),
            await psycopg.AsyncConnection.connect(libpq(url_of(a)), autocommit=True) as service,
        ):
            while True:
                found = await service.execute(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = 'core' AND pid NOT IN (pg_backend_pid(), %s)",
                    (witness.pid,),
                )
                if await found.fetchone() == (0,):
                    break
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("forced", [True, False])
async def test_b4_a_table_with_row_level_security_is_no_silent_lack(
    servers: tuple[Server, Server], tmp_path: Path, forced: bool
) -> None:
    """The owner sees all rows, unless the table forces the policies upon the owner, too."""
    a, _ = servers
    with psycopg.connect(libpq(url_of(a)), autocommit=True) as owner:
        owner.execute("CREATE TABLE hidden AS SELECT n FROM generate_series(1, 3) n")
        owner.execute("CREATE POLICY policy ON hidden USING (n > 2)")
        owner.execute("ALTER TABLE hidden ENABLE ROW LEVEL SECURITY")
        if forced:
            owner.execute("ALTER TABLE hidden FORCE ROW LEVEL SECURITY")
        try:
            async with witness_of(a) as witness:
                if forced:
                    found = await refused(tmp_path, url_of(a), witness)
                    assert found.reason is Reason.BACKUP_FAILED
                    assert "row-level security" in found.detail
                    assert "BYPASSRLS" in (found.hint or "")
                else:
                    backup = await dump(tmp_path, url_of(a), witness)
                    assert rows_of(tmp_path, backup)["public.hidden"] == 3
        finally:
            owner.execute("DROP TABLE hidden")


async def test_b4_a_table_that_the_role_may_not_read_is_told_with_the_next_step(
    servers: tuple[Server, Server], tmp_path: Path
) -> None:
    a, _ = servers
    superuser = f"{a.superuser_url.rpartition('/')[0]}/core"
    with psycopg.connect(superuser, autocommit=True) as other:
        other.execute("CREATE TABLE others (id int)")
        try:
            async with witness_of(a) as witness:
                found = await refused(tmp_path, url_of(a), witness)
        finally:
            other.execute("DROP TABLE others")
    assert found.reason is Reason.BACKUP_FAILED
    assert "BYPASSRLS" in (found.hint or "")


async def test_b4_a_dump_that_lacks_rows_is_not_proven(
    servers: tuple[Server, Server], tmp_path: Path
) -> None:
    a, _ = servers
    program(tmp_path / "bin", "pg_dump", 'exec "$real" --exclude-table-data=people "$@"')
    async with witness_of(a) as witness:
        found = await refused(tmp_path / "store", url_of(a), witness, tmp_path / "bin")
    assert found.reason is Reason.BACKUP_UNPROVEN
    assert f"0 rows of public.people, the database had {ROWS_OF_A}" in found.detail


async def test_a_proof_of_later_compares_the_rows_again(
    servers: tuple[Server, Server], tmp_path: Path
) -> None:
    a, b = servers
    async with witness_of(a) as of_a, witness_of(b) as of_b:
        one = await dump(tmp_path, url_of(a), of_a)
        other = await dump(tmp_path / "other", url_of(b), of_b)
    backups = PostgresBackups(DirectoryDumps(tmp_path), network=NETWORK)
    await backups.prove(one)
    assert rows_of(tmp_path, one) == {"public.people": ROWS_OF_A}
    (tmp_path / one.path).write_bytes((tmp_path / "other" / other.path).read_bytes())
    with pytest.raises(PermanentError) as raised:
        await backups.prove(replace(one, size_bytes=other.size_bytes, sha256=other.sha256))
    assert "rows of public.people" in raised.value.detail


async def test_rows_are_counted_in_tables_of_every_kind(
    servers: tuple[Server, Server], tmp_path: Path
) -> None:
    a, _ = servers
    with psycopg.connect(libpq(url_of(a, "odd")), autocommit=True) as owner:
        owner.execute(_ODD_TABLES.encode())
    async with witness_of(a, "odd") as witness:
        backup = await dump(tmp_path, url_of(a, "odd"), witness)
    assert rows_of(tmp_path, backup) == _ODD_ROWS


async def test_rows_are_counted_whatever_the_databases_encoding_is(
    servers: tuple[Server, Server], tmp_path: Path
) -> None:
    a, _ = servers
    with psycopg.connect(a.superuser_url, autocommit=True) as superuser:
        superuser.execute("CREATE DATABASE latin OWNER fuse ENCODING 'LATIN1' TEMPLATE template0")
    with psycopg.connect(libpq(url_of(a, "latin")), autocommit=True) as owner:
        owner.execute('CREATE TABLE "größe" AS SELECT 1 AS "länge"'.encode("latin1"))
    async with witness_of(a, "latin") as witness:
        backup = await dump(tmp_path, url_of(a, "latin"), witness)
    assert sorted(rows_of(tmp_path, backup).values()) == [1]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_script_may_come_in_pieces_of_any_size(size: int) -> None:
    script = (
        b"-- Data for Name: a\n\nCOPY public.a (x) FROM stdin;\n1\n2\n\\N\n\\.\n\n\n"
        b'COPY "b c"."d""e\nf"  FROM stdin;\n\n\n\\.\nCOPY public.nothing (x) FROM stdin;\n\\.\n'
        b"SELECT pg_catalog.setval('public.s', 5, true);\n"
    )
    rows = RowCounter()
    for start_of in range(0, len(script), size):
        rows.feed(script[start_of : start_of + size])
    assert rows.found == {"public.a": 3, 'b c.d"e\nf': 2, "public.nothing": 0}


async def test_a_servers_refusal_is_told_without_what_pg_dump_did_before(
    servers: tuple[Server, Server], tmp_path: Path
) -> None:
    a, _ = servers
    program(tmp_path / "bin", "pg_dump", '"$real" "$@"; echo "pg_dump: error: it broke" >&2; exit 1')
    async with witness_of(a) as witness:
        found = await refused(tmp_path / "store", url_of(a), witness, tmp_path / "bin")
    assert found.reason is Reason.BACKUP_FAILED
    assert found.detail.endswith("pg_dump: error: it broke")
    assert "reading" not in found.detail
    assert POD_HOST in found.detail
