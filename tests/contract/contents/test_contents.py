"""What every contents port has to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from daemon.ports.contents import Reader
from daemon.ports.errors import PermanentError, TemporaryError
from schemas.checks import KnownLedger, MigrationsCheck, RowsCheck, UnchangedCheck
from schemas.reasons import Reason
from schemas.wire import ResourceKey
from statemachines.steps.database_checks import LedgerRow, Record, ledger_of
from tests.contract.conftest import PASSWORD
from tests.contract.contents.conftest import Stand

ENVIRONMENT = "qa-sandbox"
PRISMA = ledger_of(MigrationsCheck(directory="x", ledger=KnownLedger.PRISMA))
TYPEORM = ledger_of(MigrationsCheck(directory="x", ledger=KnownLedger.TYPEORM))


@asynccontextmanager
async def reading(stand: Stand) -> AsyncIterator[Reader]:
    identity = await stand.databases.identify(stand.url, environment=ENVIRONMENT)
    async with stand.contents.open(stand.url, environment=ENVIRONMENT, resource=identity.key) as reader:
        yield reader


def prisma(name: str, finished: str | None = "now", rolled_back: str | None = None) -> dict[str, str | None]:
    return {"migration_name": name, "finished_at": finished, "rolled_back_at": rolled_back}


async def test_a_ledger_says_what_is_applied_begun_and_rolled_back(stand: Stand) -> None:
    stand.put(
        "_prisma_migrations", prisma("1"), prisma("2", None), prisma("3", None, "now"), prisma("4", "a", "b")
    )
    async with reading(stand) as reader:
        found = await reader.ledger(PRISMA)
    assert found is not None
    assert sorted(found, key=lambda row: row.text) == [
        LedgerRow("1", Record.APPLIED),
        LedgerRow("2", Record.OPEN),
        LedgerRow("3", Record.UNDONE),
        LedgerRow("4", Record.UNDONE),
    ]


async def test_a_ledger_of_names_alone_has_them_applied(stand: Stand) -> None:
    stand.put("migrations", {"name": "Init1700000000000"})
    async with reading(stand) as reader:
        assert await reader.ledger(TYPEORM) == (LedgerRow("Init1700000000000", Record.APPLIED),)


async def test_a_table_that_is_not_there_is_not_an_empty_one(stand: Stand) -> None:
    stand.put("Role")
    async with reading(stand) as reader:
        assert await reader.ledger(PRISMA) is None
        assert await reader.count(RowsCheck(table=("roles",))) is None
        assert await reader.count(RowsCheck(table=("role",))) is None
        assert await reader.count(RowsCheck(table=("roles", "Role"))) == 0
        assert await reader.fingerprint(UnchangedCheck(table=("roles",))) is None


async def test_rows_are_counted_as_far_as_it_matters(stand: Stand) -> None:
    stand.put("roles", {"name": "admin"}, {"name": "viewer"})
    async with reading(stand) as reader:
        assert await reader.count(RowsCheck(table=("roles",), at_least=5)) == 2
        assert await reader.count(RowsCheck(table=("roles",))) == 1


async def test_tables_with_and_without_rows_are_told_apart_and_the_ledger_is_none(stand: Stand) -> None:
    stand.put("_prisma_migrations", prisma("1"))
    stand.put("roles", {"name": "admin"})
    stand.put("loans")
    async with reading(stand) as reader:
        assert await reader.filled(["_prisma_migrations"]) == {"public.roles": True, "public.loans": False}


async def test_a_table_that_was_made_anew_has_another_number(stand: Stand) -> None:
    stand.put("_prisma_migrations", {"migration_name": "1_a"})
    stand.put("roles", {"name": "admin"})
    stand.put("notes")
    async with reading(stand) as reader:
        before = await reader.table_numbers(["_prisma_migrations"])
    stand.put("roles", {"name": "admin"})
    async with reading(stand) as reader:
        after = await reader.table_numbers(["_prisma_migrations"])
    assert before.keys() == after.keys() == {"public.roles", "public.notes"}
    assert before["public.notes"] == after["public.notes"]
    assert before["public.roles"] != after["public.roles"]


async def test_a_fingerprint_is_of_the_rows_and_not_of_their_order(stand: Stand) -> None:
    first, second = {"id": "1", "who": "dana"}, {"id": "2", "who": "eli"}
    asked, chosen = UnchangedCheck(table=("mappings",)), UnchangedCheck(table=("mappings",), columns=("who",))
    stand.put("mappings", first, second)
    async with reading(stand) as reader:
        before, who = await reader.fingerprint(asked), await reader.fingerprint(chosen)
    assert before is not None
    assert before.rows == 2
    stand.put("mappings", second, first)
    async with reading(stand) as reader:
        assert await reader.fingerprint(asked) == before
    stand.put("mappings", {**first, "id": "7"}, second)
    async with reading(stand) as reader:
        assert await reader.fingerprint(asked) != before
        assert await reader.fingerprint(chosen) == who
    stand.put("mappings", first, first)
    async with reading(stand) as reader:
        assert await reader.fingerprint(chosen) != who


async def test_another_database_than_the_plans_is_never_read(stand: Stand) -> None:
    with pytest.raises(PermanentError) as raised:
        async with stand.contents.open(
            stand.url, environment=ENVIRONMENT, resource=ResourceKey("database/1/elsewhere")
        ):
            pass
    assert raised.value.reason is Reason.DATABASE_MISMATCH


async def test_a_server_that_does_not_answer_is_temporary_and_its_error_holds_no_password(
    stand: Stand,
) -> None:
    with pytest.raises(TemporaryError) as raised:
        async with stand.contents.open(
            stand.silent, environment=ENVIRONMENT, resource=ResourceKey("database/1/other")
        ):
            pass
    assert raised.value.reason is Reason.DATABASE_UNREACHABLE
    assert PASSWORD not in str(raised.value)


async def test_b2_a_session_tells_the_running_server_that_it_is_in_as_a_witness_there_does(
    stand: Stand,
) -> None:
    async with (
        stand.databases.witness(stand.url, environment=ENVIRONMENT) as witness,
        reading(stand) as reader,
    ):
        assert reader.incarnation == witness.incarnation != ""
