"""The way back is tried after what it is for: over what a reset leaves, and with all that a database may hold."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from daemon.adapters.dumps.directory import DirectoryDumps
from daemon.adapters.postgres.backups import PostgresBackups
from daemon.adapters.postgres.programs import programs_for
from daemon.ports.backups import Backup
from sandbox.postgres import Server
from tests.contract.backups.conftest import ENVIRONMENT, contents_of
from tests.contract.backups.test_directory import dumped
from tests.contract.conftest import NETWORK, PASSWORD, libpq

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"

NEWER = """
CREATE TABLE newer (id int PRIMARY KEY, person int NOT NULL REFERENCES people (id));
INSERT INTO newer SELECT 1, id FROM people LIMIT 1;
CREATE SCHEMA later;
CREATE TABLE later.also_newer (person int REFERENCES people (id));
CREATE VIEW grown AS SELECT * FROM people;
ALTER TABLE people ADD COLUMN newer int;
"""

HELD = {
    "identity columns": (
        (
            "CREATE TABLE held (id int GENERATED ALWAYS AS IDENTITY (START WITH 7), t text);"
            " INSERT INTO held (t) VALUES ('a'), ('b')"
        ),
        "SELECT * FROM held ORDER BY id",
    ),
    "a range type": (
        "CREATE TYPE span AS RANGE (subtype = float8); CREATE TABLE held (s span, m span_multirange)",
        "SELECT typname, typtype FROM pg_type WHERE typname LIKE 'span%' ORDER BY 1",
    ),
    "a collation": (
        (
            "CREATE COLLATION numeric_order (provider = libc, locale = 'C');"
            " CREATE TABLE held (t text COLLATE numeric_order)"
        ),
        "SELECT collname FROM pg_collation WHERE collname = 'numeric_order'",
    ),
    "a domain, a composite and an enumeration": (
        (
            "CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE TYPE pair AS (a int, b int);"
            " CREATE TYPE color AS ENUM ('red'); CREATE TABLE held (p positive, q pair, c color)"
        ),
        "SELECT typname FROM pg_type WHERE typname IN ('positive', 'pair', 'color') ORDER BY 1",
    ),
    "functions, aggregates, procedures and operators": (
        (
            "CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT 2 * $1';"
            " CREATE PROCEDURE nothing() LANGUAGE sql AS 'SELECT 1';"
            " CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');"
            " CREATE OPERATOR ^^^ (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl)"
        ),
        "SELECT (SELECT twice(3)), (SELECT total(n) FROM generate_series(1, 3) n), 1 ^^^ 2",
    ),
    "partitions": (
        (
            "CREATE TABLE held (n int) PARTITION BY RANGE (n);"
            " CREATE TABLE held_1 PARTITION OF held FOR VALUES FROM (0) TO (10); INSERT INTO held VALUES (3)"
        ),
        "SELECT tableoid::regclass::text, n FROM held",
    ),
    "a text search configuration": (
        (
            "CREATE TEXT SEARCH DICTIONARY plain (TEMPLATE = simple);"
            " CREATE TEXT SEARCH CONFIGURATION ours (COPY = simple)"
        ),
        "SELECT cfgname FROM pg_ts_config WHERE cfgname = 'ours'",
    ),
    "a large object": ("SELECT lo_from_bytea(4711, 'blob')", "SELECT lo_get(4711)"),
    "names that need quotes": (
        (
            'CREATE SCHEMA "Odd Schema"; CREATE TABLE "Odd Schema"."t""q" (id int);'
            ' CREATE TABLE "Weird.Name" (id serial); CREATE TYPE "A Type" AS ENUM (\'x\')'
        ),
        (
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relname IN ('t\"q', 'Weird.Name') ORDER BY 1, 2"
        ),
    ),
    "grants": (
        "CREATE TABLE held (id int); GRANT SELECT ON held TO PUBLIC; GRANT USAGE ON SCHEMA public TO PUBLIC",
        "SELECT relacl::text FROM pg_class WHERE relname = 'held'",
    ),
}
"""What a database may hold -> how it is made by a plain owner, and how it is looked at."""

BY_A_SUPERUSER = {
    "an extension in a schema of its own": (
        "CREATE SCHEMA ext; CREATE EXTENSION vector SCHEMA ext; GRANT USAGE ON SCHEMA ext TO PUBLIC",
        "SELECT extname, nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace ORDER BY 1",
    ),
    "an event trigger": (
        (
            "CREATE FUNCTION side_effect() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
            " CREATE EVENT TRIGGER watching ON ddl_command_start EXECUTE FUNCTION side_effect()"
        ),
        "SELECT evtname FROM pg_event_trigger",
    ),
    "a table of another role": (
        (
            "DROP ROLE IF EXISTS another; CREATE ROLE another; CREATE TABLE theirs (id int);"
            " ALTER TABLE theirs OWNER TO another; INSERT INTO theirs VALUES (1); GRANT ALL ON theirs TO fuse"
        ),
        "SELECT * FROM theirs",
    ),
    "a foreign server": (
        (
            "CREATE FOREIGN DATA WRAPPER afar; CREATE SERVER far FOREIGN DATA WRAPPER afar;"
            " CREATE USER MAPPING FOR fuse SERVER far; GRANT USAGE ON FOREIGN SERVER far TO fuse"
        ),
        "SELECT srvname, usename FROM pg_user_mappings",
    ),
    "a foreign server of the owner's": (
        (
            "CREATE FOREIGN DATA WRAPPER afar; GRANT USAGE ON FOREIGN DATA WRAPPER afar TO fuse;"
            " SET ROLE fuse; CREATE SERVER far FOREIGN DATA WRAPPER afar;"
            " CREATE USER MAPPING FOR fuse SERVER far OPTIONS (password 'of it')"
        ),
        "SELECT srvname, usename, umoptions::text FROM pg_user_mappings",
    ),
    "a cast": (
        "CREATE CAST (text AS int) WITH INOUT AS IMPLICIT",
        "SELECT castsource::regtype::text, casttarget::regtype::text FROM pg_cast WHERE oid >= 16384",
    ),
    "a publication": (
        "CREATE PUBLICATION told FOR ALL TABLES",
        "SELECT pubname FROM pg_publication",
    ),
}
"""What only a superuser makes; the owner's own role restores."""


@pytest.fixture
def own(server: Server) -> Iterator[str]:
    """A database of the test's own, that the role of the services owns."""
    with psycopg.connect(server.superuser_url, autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS way_back WITH (FORCE)")
        admin.execute("CREATE DATABASE way_back OWNER fuse")
    yield server.pod_url("way_back", "fuse", PASSWORD)
    with psycopg.connect(server.superuser_url, autocommit=True) as admin:
        admin.execute("DROP DATABASE way_back WITH (FORCE)")


def run_sql(url: str, statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statements.encode())


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


async def restored(root: Path, backup: Backup, url: str) -> None:
    await PostgresBackups(DirectoryDumps(root), network=NETWORK).restore(backup, url, environment=ENVIRONMENT)


async def test_e1_the_built_in_way_leads_back_over_newer_tables_and_keys(tmp_path: Path, url: str) -> None:
    before = await contents_of(url)
    backup = await dumped(tmp_path, url)
    run_sql(libpq(url), NEWER)
    await restored(tmp_path, backup, url)
    assert await contents_of(url) == before


async def test_e1_the_documented_way_leads_back_over_newer_tables_and_keys(tmp_path: Path, url: str) -> None:
    before = await contents_of(url)
    backup = await dumped(tmp_path, url)
    run_sql(libpq(url), NEWER)
    type_as_documented(tmp_path, backup, url)
    assert await contents_of(url) == before


async def test_e1_the_documented_way_changes_nothing_where_the_dump_was_cut(tmp_path: Path, url: str) -> None:
    before = await contents_of(url)
    backup = await dumped(tmp_path, url)
    whole = (tmp_path / backup.path).read_bytes()
    (tmp_path / backup.path).write_bytes(whole[: len(whole) // 3])
    with pytest.raises(subprocess.CalledProcessError):
        type_as_documented(tmp_path, backup, url)
    assert await contents_of(url) == before


def type_as_documented(root: Path, backup: Backup, url: str) -> None:
    """Type the commands of the page, with the names of this test."""
    (block,) = re.findall(r"```sh restore\n(.*?)```", OPERATIONS.read_text(encoding="utf-8"), re.DOTALL)
    script = (
        block.replace("FILE", str(root / backup.path))
        .replace("URL", libpq(url))
        .replace("daemon/adapters", str(OPERATIONS.parents[1] / "daemon/adapters"))
    )
    path = f"{programs_for(160000, None).directory}:/usr/bin:/bin"
    subprocess.run(["/bin/sh", "-e", "-c", script], cwd=root, env={"PATH": path}, check=True, timeout=120)


@pytest.mark.parametrize("what", HELD)
async def test_e2_whatever_a_database_holds_comes_back(tmp_path: Path, own: str, what: str) -> None:
    make, look = HELD[what]
    run_sql(libpq(own), make)
    before = rows(libpq(own), look)
    assert before
    backup = await dumped(tmp_path, own)
    # The same names with other contents, and more of them: a reset leaves its own behind.
    run_sql(libpq(own), "CREATE TABLE since (id int GENERATED ALWAYS AS IDENTITY)")
    await restored(tmp_path, backup, own)
    assert rows(libpq(own), look) == before
    assert rows(libpq(own), "SELECT to_regclass('since')") == [(None,)]
    await restored(tmp_path, backup, own)
    assert rows(libpq(own), look) == before


@pytest.mark.parametrize("what", BY_A_SUPERUSER)
async def test_e2_what_a_superuser_made_is_left_in_place_by_a_plain_owner(
    tmp_path: Path, server: Server, own: str, what: str
) -> None:
    make, look = BY_A_SUPERUSER[what]
    run_sql(server.superuser_url.removesuffix("/postgres") + "/way_back", make)
    run_sql(libpq(own), "CREATE TABLE held (id int); INSERT INTO held VALUES (1)")
    before = rows(libpq(own), look)
    backup = await dumped(tmp_path, own)
    run_sql(libpq(own), "TRUNCATE held")
    await restored(tmp_path, backup, own)
    assert before
    assert rows(libpq(own), look) == before
    assert rows(libpq(own), "SELECT * FROM held") == [(1,)]


@pytest.mark.parametrize("what", BY_A_SUPERUSER)
async def test_e2_what_a_superuser_made_comes_back_by_a_superuser(
    tmp_path: Path, server: Server, own: str, what: str
) -> None:
    make, look = BY_A_SUPERUSER[what]
    run_sql(server.superuser_url.removesuffix("/postgres") + "/way_back", make)
    run_sql(server.superuser_url, "ALTER ROLE fuse SUPERUSER")
    try:
        before = rows(libpq(own), look)
        backup = await dumped(tmp_path, own)
        await restored(tmp_path, backup, own)
        assert rows(libpq(own), look) == before
    finally:
        run_sql(server.superuser_url, "ALTER ROLE fuse NOSUPERUSER")


async def test_e2_a_database_without_the_schema_public_comes_back(tmp_path: Path, own: str) -> None:
    run_sql(libpq(own), "DROP SCHEMA public; CREATE SCHEMA app; CREATE TABLE app.held (id int)")
    backup = await dumped(tmp_path, own)
    run_sql(libpq(own), "DROP SCHEMA app CASCADE")
    await restored(tmp_path, backup, own)
    assert rows(libpq(own), "SELECT to_regclass('app.held')::text") == [("app.held",)]
    await restored(tmp_path, backup, own)
