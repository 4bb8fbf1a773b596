"""A backup that is proven by a restore: on the real server, restored, compared, dropped. What is poorer is refused."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from uuid_utils import uuid7

from daemon.adapters.dumps.directory import DirectoryDumps
from daemon.adapters.postgres.backups import PostgresBackups
from daemon.adapters.postgres.databases import PostgresDatabases
from daemon.adapters.postgres.scratch.databases import prefix
from daemon.adapters.postgres.scratch.proofs import ScratchProofs
from daemon.ports.backups import Backup
from daemon.ports.errors import PermanentError
from sandbox.postgres import ADDRESS, POD_HOST, Server
from schemas.admin_servers import AdminServer
from schemas.backups import Proof
from schemas.reasons import Reason
from schemas.wire import ResetId
from tests.contract.backups.conftest import ENVIRONMENT
from tests.contract.conftest import NETWORK, PASSWORD, libpq

HELD = r"""
DROP SCHEMA IF EXISTS side CASCADE;
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;
CREATE SCHEMA side;
CREATE TYPE mood AS ENUM ('fine', 'tired');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE people (
    id serial PRIMARY KEY,
    name varchar(40) NOT NULL DEFAULT 'nobody' CHECK (name IN ('ann', 'bob', 'nobody')),
    mood mood, age positive, named int GENERATED ALWAYS AS (length(name)) STORED);
CREATE UNIQUE INDEX ON people (lower(name), id) WHERE name IN ('ann', 'bob');
CREATE TABLE side.notes (id int GENERATED ALWAYS AS IDENTITY, person int REFERENCES people (id) ON DELETE CASCADE);
CREATE VIEW awake AS SELECT * FROM people WHERE name IN ('ann', 'bob');
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM people;
CREATE TABLE split (n int CHECK (n <> 5), t text) PARTITION BY RANGE (n);
CREATE TABLE split_low PARTITION OF split FOR VALUES FROM (0) TO (10);
CREATE TABLE "Odd ""name" (a int);
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touching BEFORE UPDATE ON people FOR EACH ROW WHEN (NEW.name <> OLD.name) EXECUTE FUNCTION touched();
ALTER TABLE side.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON side.notes USING (person IN (SELECT id FROM people WHERE name IN ('ann', 'bob')));
INSERT INTO people (name, mood, age) VALUES ('ann', 'fine', 3), ('bob', 'tired', 4);
INSERT INTO side.notes (person) VALUES (1), (1), (2);
INSERT INTO split VALUES (1, 'a'), (2, 'b');
SELECT lo_from_bytea(0, '\x00ff'::bytea);
"""


@dataclass
class Stand:
    server: Server
    root: Path
    backups: PostgresBackups
    proofs: ScratchProofs
    offered: list[AdminServer]
    url: str
    reset: ResetId

    async def dump(self) -> Backup:
        databases = PostgresDatabases(NETWORK)
        async with databases.witness(self.url, environment=ENVIRONMENT) as witness:
            return await self.backups.dump(
                self.url,
                environment=ENVIRONMENT,
                resource=witness.identity.key,
                attempt=f"{self.reset}/backup.core/1",
                witness=witness,
            )

    async def prove(self, backup: Backup) -> None:
        await self.proofs.prove(backup, reset=self.reset)

    def scratch_databases(self) -> list[str]:
        with psycopg.connect(self.server.superuser_url, autocommit=True) as connection:
            found = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'resetd-proof-%'")
            return [name for (name,) in found.fetchall()]

    def server_version(self) -> int:
        with psycopg.connect(libpq(self.url)) as connection:
            return connection.info.server_version

    def edit(self, backup: Backup, change: Callable[[dict[str, object]], None]) -> None:
        path = self.root / f"{backup.path}.json"
        told = json.loads(path.read_text(encoding="utf-8"))
        change(told["manifest"])
        path.write_text(json.dumps(told), encoding="utf-8")


@pytest.fixture
async def stand(server: Server, tmp_path: Path) -> AsyncIterator[Stand]:
    url = server.pod_url("core", "fuse", PASSWORD)
    with psycopg.connect(libpq(url), autocommit=True) as connection:
        connection.execute(HELD)
    offered = [admin(server)]
    dumps = DirectoryDumps(tmp_path)
    yield Stand(
        server,
        tmp_path,
        PostgresBackups(dumps, network=NETWORK),
        ScratchProofs(dumps, lambda: offered, network=NETWORK),
        offered,
        url,
        ResetId(str(uuid7())),
    )
    with psycopg.connect(libpq(url), autocommit=True) as connection:
        connection.execute("DROP SCHEMA side CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public")


def flipped(whole: bytes) -> bytes:
    """Return the same with another bit in the middle."""
    middle = len(whole) // 2
    return whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]


def admin(on: Server, **more: object) -> AdminServer:
    url = SecretStr(on.superuser_url.replace(ADDRESS, POD_HOST))
    return AdminServer(server=f"{POD_HOST}:{on.port}", url=url, scratch=True).model_copy(update=more)


async def test_what_was_dumped_comes_back_with_all_that_its_manifest_says(stand: Stand) -> None:
    backup = await stand.dump()
    receipt = await stand.proofs.prove(backup, reset=stand.reset)
    assert (receipt.sha256, receipt.proof, receipt.rows) == (backup.sha256, Proof.RESTORED, 7)
    assert receipt.server == stand.offered[0].server
    assert stand.scratch_databases() == []


async def test_a_backup_whose_manifest_has_one_row_more_is_refused(stand: Stand) -> None:
    backup = await stand.dump()

    def one_more(manifest: dict[str, object]) -> None:
        manifest["contents"]["rows"]["side.notes"] += 1  # type: ignore[index]

    stand.edit(backup, one_more)
    with pytest.raises(PermanentError, match=r"rows of side\.notes: 3 instead of 4") as refused:
        await stand.prove(backup)
    assert refused.value.reason is Reason.BACKUP_UNPROVEN
    assert stand.scratch_databases() == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("index public.people_lower_id_idx", "index public.people_lower_id_idx"),
        ("constraint side.notes.notes_person_fkey", "constraint side.notes.notes_person_fkey"),
        ("sequence public.people_id_seq", "sequence public.people_id_seq"),
    ],
)
async def test_a_dump_that_lacks_a_definition_of_its_manifest_is_refused(
    stand: Stand, name: str, said: str
) -> None:
    backup = await stand.dump()

    def other(manifest: dict[str, object]) -> None:
        manifest["contents"]["definitions"]["objects"][name] += "0"  # type: ignore[index]

    stand.edit(backup, other)
    with pytest.raises(PermanentError, match=said):
        await stand.prove(backup)


async def test_a_check_that_says_something_else_is_refused(stand: Stand) -> None:
    backup = await stand.dump()

    def other(manifest: dict[str, object]) -> None:
        expressions = manifest["contents"]["definitions"]["expressions"]  # type: ignore[index]
        each = expressions["constraint public.people.people_name_check"]
        each["text"] = each["text"].replace("'bob'", "'bop'")

    stand.edit(backup, other)
    with pytest.raises(PermanentError, match=r"expression of constraint public\.people\.people_name_check"):
        await stand.prove(backup)


async def test_a_dump_that_was_cut_at_70_percent_is_refused(stand: Stand) -> None:
    backup = await stand.dump()
    path = stand.root / backup.path
    path.write_bytes(path.read_bytes()[: backup.size_bytes * 7 // 10])
    with pytest.raises(PermanentError) as refused:
        await stand.prove(backup)
    assert refused.value.reason is Reason.BACKUP_UNPROVEN


async def test_a_dump_of_which_a_bit_was_flipped_after_writing_is_refused(stand: Stand) -> None:
    backup = await stand.dump()
    path = stand.root / backup.path
    path.write_bytes(flipped(path.read_bytes()))
    with pytest.raises(PermanentError, match="not what was dumped"):
        await stand.prove(backup)


async def test_a_backup_without_a_whole_manifest_is_refused(stand: Stand) -> None:
    backup = await stand.dump()
    path = stand.root / f"{backup.path}.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    del told["manifest"]
    path.write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(PermanentError, match="has no manifest"):
        await stand.prove(backup)
    assert (await stand.backups.prove(backup)).proven  # read through it still is


async def test_no_scratch_server_fits_another_version_a_big_database_or_a_role_without_createdb(
    stand: Stand,
) -> None:
    version, server = stand.server_version(), stand.server
    assert await stand.proofs.scratch_for(version, 100) == f"{POD_HOST}:{server.port}"
    for offered, version_asked, said in (
        ([], version, "no scratch server is configured"),
        ([admin(server)], version + 10_000, "is PostgreSQL"),
        ([admin(server, max_bytes=99)], version, "takes up to 99 bytes, the database has 100"),
        ([admin(server, url=SecretStr(stand.url))], version, "the role fuse may not create databases"),
        ([admin(server, server="4711")], version, "its url leads to the server"),
    ):
        stand.offered[:] = offered
        with pytest.raises(PermanentError, match=said) as refused:
            await stand.proofs.scratch_for(version_asked, 100)
        assert refused.value.reason is Reason.NO_SCRATCH_SERVER
        assert PASSWORD not in str(refused.value)


async def test_what_a_killed_proof_left_is_found_by_its_reset_and_dropped_by_the_next(stand: Stand) -> None:
    backup = await stand.dump()
    left = f"{prefix(stand.reset, backup.resource)}00000000"
    assert len(left) <= 63
    with psycopg.connect(stand.server.superuser_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{left}"')
    assert stand.reset in await stand.proofs.leftovers()
    await stand.prove(backup)
    assert stand.scratch_databases() == []
    with psycopg.connect(stand.server.superuser_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{left}"')
    await stand.proofs.drop(stand.reset)
    assert stand.scratch_databases() == []


async def test_a_receipt_is_of_no_other_dump(stand: Stand) -> None:
    first = await stand.dump()
    with psycopg.connect(libpq(stand.url), autocommit=True) as connection:
        connection.execute("INSERT INTO split VALUES (3, 'c')")
    second = await stand.dump()
    with pytest.raises(PermanentError, match=r"not what was dumped|another dump's"):
        await stand.prove(replace(first, path=second.path))
