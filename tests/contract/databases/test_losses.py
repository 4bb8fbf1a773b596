"""What a wipe takes with it, as a real server's catalog of dependencies tells it, and as a real wipe then shows."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg import sql

from daemon.adapters.postgres.databases import PostgresDatabases
from sandbox.postgres import Server
from tests.contract.conftest import NETWORK, PASSWORD

WIPE = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
"""What `prisma migrate reset` does before it migrates."""
TABLES = (
    "CREATE TYPE kind AS ENUM ('one', 'two')",
    "CREATE TABLE parents (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind kind NOT NULL DEFAULT 'one')",
    "CREATE TABLE children (id serial PRIMARY KEY, parent int REFERENCES parents, secret text)",
    "CREATE VIEW both_of AS SELECT c.id FROM children c JOIN parents p ON p.id = c.parent",
    "CREATE FUNCTION number() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE TRIGGER touched BEFORE UPDATE ON parents FOR EACH ROW EXECUTE FUNCTION touched()",
    "CREATE SCHEMA audit",
)
"""What migrations made, by the service's role."""


class Database:
    """A database of the role `fuse` in which a test does as a superuser, or as the service."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._admin = f"{server.superuser_url.rpartition('/')[0]}/wiped"
        self.url = server.pod_url("wiped", "fuse", PASSWORD)

    async def admin(self, *statements: str) -> None:
        """Do it as a superuser."""
        async with await psycopg.AsyncConnection.connect(self._admin, autocommit=True) as connection:
            for statement in statements:
                await connection.execute(statement.encode())

    async def service(self, *statements: str) -> None:
        """Do it as the service's role does."""
        await self.admin("SET ROLE fuse; " + "; ".join(statements))

    async def lost(self, *, whole: bool = True, schema: str = "public") -> dict[str, bool]:
        """What is lost -> whether that is for good."""
        url = self.url.partition("?")[0] + f"?schema={schema}"
        found = await PostgresDatabases(NETWORK).lost_by_wipe(
            url, environment="qa-sandbox", service_url=url, whole=whole
        )
        return {loss.name: loss.for_good for loss in found}


@pytest.fixture
async def database(server: Server) -> AsyncIterator[Database]:
    """A database with a service's tables, and the roles `reporting` and `dba` beside its own."""
    async with await psycopg.AsyncConnection.connect(server.superuser_url, autocommit=True) as admin:
        await admin.execute("CREATE DATABASE wiped OWNER fuse")
        for role in ("reporting", "dba"):
            await admin.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
    made = Database(server)
    await made.service(*TABLES)
    try:
        yield made
    finally:
        async with await psycopg.AsyncConnection.connect(server.superuser_url, autocommit=True) as admin:
            await admin.execute("DROP DATABASE wiped WITH (FORCE)")
            for role in ("reporting", "dba"):
                await admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


async def test_what_migrations_made_is_no_loss(database: Database) -> None:
    assert await database.lost() == {}
    await database.service(WIPE)  # its schema has another owner and no default grants from now on
    await database.service(*TABLES[:-1])
    assert await database.lost() == {}
    assert await database.lost(whole=False) == {}


async def test_e3_an_extension_that_the_role_may_not_create_is_lost_for_good(database: Database) -> None:
    await database.admin("CREATE EXTENSION vector")
    assert await database.lost() == {"extension vector": True}
    assert await database.lost(whole=False) == {}, "the drop of tables leaves it"
    await database.admin("ALTER ROLE fuse SUPERUSER")
    try:
        assert await database.lost() == {"extension vector": False}
    finally:
        await database.admin("ALTER ROLE fuse NOSUPERUSER")
    await database.admin("CREATE SCHEMA extensions", "ALTER EXTENSION vector SET SCHEMA extensions")
    assert await database.lost() == {}


async def test_e3_grants_and_default_privileges_of_other_roles_are_lost(database: Database) -> None:
    for grant in (
        "GRANT SELECT ON parents TO reporting",
        "GRANT USAGE ON SCHEMA public TO reporting",
        "GRANT SELECT (id) ON children TO reporting",
        "GRANT EXECUTE ON FUNCTION number() TO reporting",
        "GRANT USAGE ON TYPE kind TO reporting",
        "GRANT USAGE ON SEQUENCE children_id_seq TO reporting",
    ):
        await database.service(grant)
        assert await database.lost() == {"grants to reporting": True}, grant
        await database.service(grant.replace("GRANT", "REVOKE").replace(" TO ", " FROM "))
    await database.service("GRANT SELECT ON parents TO PUBLIC")
    await database.service("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reporting")
    assert await database.lost() == {
        "grants to PUBLIC": True,
        "default privileges for reporting": True,
    }
    assert await database.lost(whole=False) == {"grants to PUBLIC": True}
    await database.service(WIPE)
    assert await database.lost() == {}


async def test_what_survives_a_wipe_is_no_loss(database: Database) -> None:
    await database.admin(
        "ALTER ROLE fuse IN DATABASE wiped SET work_mem = '8MB'",
        "GRANT CONNECT ON DATABASE wiped TO reporting",
        "GRANT USAGE ON SCHEMA audit TO reporting",
        "ALTER DEFAULT PRIVILEGES FOR ROLE fuse GRANT SELECT ON TABLES TO reporting",
        "CREATE PUBLICATION everything FOR ALL TABLES",
    )
    assert await database.lost() == {}


async def test_e3_what_others_made_in_the_schema_or_from_it_is_lost(database: Database) -> None:
    """Another input of the kind: none of it is in a migration, and `CASCADE` asks nobody."""
    await database.admin(
        "CREATE TABLE kept (id int)",
        "ALTER TABLE kept OWNER TO dba",
        "CREATE VIEW audit.report AS SELECT id FROM public.parents",
        "CREATE TABLE audit.entries (parent int REFERENCES public.parents, number int DEFAULT public.number(),"
        " kind public.kind)",
        "CREATE FUNCTION audit.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER noted AFTER INSERT ON parents FOR EACH ROW EXECUTE FUNCTION audit.note()",
        "CREATE PUBLICATION feed FOR TABLE parents",
        "CREATE PUBLICATION whole FOR TABLES IN SCHEMA public",
        "CREATE FUNCTION public.told() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "CREATE EVENT TRIGGER told ON sql_drop EXECUTE FUNCTION public.told()",
    )
    expected = {
        "default value for audit.entries.number",
        "event trigger told",
        "objects of dba",
        "publication feed",
        "publication whole",
        "table column audit.entries.kind",
        "table constraint entries_parent_fkey on audit.entries",
        "trigger noted on public.parents",
        "view audit.report",
    }
    lost = await database.lost()
    owner = next(name for name in lost if name.startswith("objects of ") and name != "objects of dba")
    assert lost.keys() == expected | {owner}, "and the superuser's own function"
    assert all(lost.values())
    await database.admin(WIPE)
    assert await database.lost() == {}


async def test_a_schema_that_the_url_names_is_the_one_that_is_looked_at(database: Database) -> None:
    await database.service(
        "CREATE TABLE audit.entries (id int)", "GRANT SELECT ON audit.entries TO reporting"
    )
    assert await database.lost(schema="audit") == {"grants to reporting": True}
    assert await database.lost() == {}
