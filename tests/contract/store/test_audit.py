"""The audit and the histories: appended to, never changed, and whatever is tampered with is found."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.adapters.store import SqlStore, open_store
from daemon.adapters.store.connections.addresses import parse
from daemon.ports.store.leases import Change
from daemon.ports.store.store import Store
from schemas.audit import AuditAction, AuditEntry, Verdict
from schemas.reasons import Reason
from schemas.resets import ActKind, ResetState
from statemachines.history.audit import act_entry
from statemachines.refusals import refuse
from tests.contract.store.conftest import Opener
from tests.contract.store.making import NOW, act, admitted, asked, begun, different, moved


def line(chain: str = "resetd", at: int = 0, **fields: object) -> AuditEntry:
    base: dict[str, object] = {
        "chain": chain,
        "at": NOW + timedelta(seconds=at),
        "action": AuditAction.REQUEST,
        "verdict": Verdict.REFUSED,
        "actor": "eve",
        "channel": "http",
    }
    return AuditEntry.model_validate(base | fields)


class TestWhatIsWrittenDown:
    async def test_a_request_is_the_first_line_of_its_resets_chain(self, store: Store) -> None:
        reset = await admitted(store, asked(reason="because"))
        [entry] = await store.audit()
        assert (entry.action, entry.verdict, entry.actor) == (AuditAction.REQUEST, Verdict.APPLIED, "ann")
        assert (entry.chain, entry.number, entry.reason) == (reset.id, 1, "because")
        assert entry.hash.startswith("sha256:")

    async def test_a_request_that_is_refused_says_why(self, store: Store) -> None:
        await admitted(store, asked(refused=Reason.TOO_OLD))
        [entry] = await store.audit()
        assert (entry.verdict, entry.code, entry.detail) == (Verdict.REFUSED, Reason.TOO_OLD, "it is old")

    async def test_who_joins_is_written_down_once(self, store: Store) -> None:
        await admitted(store)
        for _ in range(2):
            await admitted(store, asked(by="bob"))
        newest, _ = await store.audit()
        assert (newest.action, newest.actor, newest.number) == (AuditAction.JOIN, "bob", 2)

    async def test_an_act_and_its_verdict_are_stored_with_the_commit_that_read_it(self, store: Store) -> None:
        found = await begun(store)
        asked_for = await store.append_act(act(found.reset.id, ActKind.RESUME))
        refusal = refuse(Reason.WRONG_STATE, "it runs")
        entry = act_entry(asked_for, found.reset, refusal, at=NOW + timedelta(seconds=1))
        reset = found.reset.model_copy(update={"acts_seen": asked_for.id})
        await store.save(Change(reset=reset, lease=found.lease, audit=(entry,)))
        newest, _ = await store.audit()
        assert (newest.act, newest.code, newest.actor) == (asked_for.id, Reason.WRONG_STATE, "olga")

    async def test_a_lost_commit_leaves_no_line(self, store: Store) -> None:
        found = await begun(store)
        entry = act_entry(act(found.reset.id), found.reset, None, at=NOW)
        stale = replace(moved(found), lease=replace(found.lease, fence=99), audit=(entry,))
        with pytest.raises(Exception, match="another holder"):
            await store.save(stale)
        assert len(await store.audit()) == 1

    async def test_it_is_read_newest_first_by_environment_actor_and_time(self, store: Store) -> None:
        for entry in (
            line("a-sandbox", 1, environment="a-sandbox", actor="ann"),
            line("a-sandbox", 2, environment="a-sandbox"),
            line("b-sandbox", 3, environment="b-sandbox"),
        ):
            await store.append_audit(entry)
        assert [entry.at.second for entry in await store.audit()] == [3, 2, 1]
        assert [entry.at.second for entry in await store.audit(environment="a-sandbox")] == [2, 1]
        assert [entry.at.second for entry in await store.audit(actor="ann")] == [1]
        assert [entry.at.second for entry in await store.audit(since=NOW + timedelta(seconds=2))] == [3, 2]
        assert [entry.at.second for entry in await store.audit(limit=1)] == [3]

    async def test_it_is_read_on_from_any_line_also_among_lines_of_one_moment(self, store: Store) -> None:
        for at, chain in ((1, "b"), (2, "a"), (2, "a"), (2, "b"), (3, "a")):
            await store.append_audit(line(chain, at))
        whole = await store.audit()
        assert len(whole) == 5
        for place, entry in enumerate(whole):
            assert await store.audit(before=entry) == whole[place + 1 :]
            assert await store.audit(before=entry, limit=1) == whole[place + 1 : place + 2]

    async def test_many_that_write_to_one_chain_at_once_leave_no_gap(self, another: Opener) -> None:
        stores = [another(), another()]
        await asyncio.gather(*(stores[at % 2].append_audit(line(at=at)) for at in range(20)))
        assert sorted(entry.number for entry in await stores[0].audit()) == list(range(1, 21))


async def lived(store: Store) -> None:
    """Give the store two resets with histories, refusals and odd characters."""
    for number in (1, 2):
        found = await begun(store, **different(number))
        for state in (ResetState.QUEUED, ResetState.SEEDING, ResetState.FAILED):
            entry = act_entry(act(found.reset.id, actor="o\x00lga \u00e9"), found.reset, None, at=NOW)
            stored = await store.save(moved(found, state, audit=(entry,)))
            found = replace(found, reset=stored)
    await store.append_audit(line(detail="a\x00b \U0001f600", facts={"deep": {"number": 1.5, "none": None}}))


@pytest.fixture(scope="module")
def lived_file(template_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a SQLite file to copy, with something to tamper with."""
    file = tmp_path_factory.mktemp("lived") / "state.db"
    shutil.copy(template_file, file)
    assert asyncio.run(alive(file)) == ()
    return file


class TestTampering:
    async def test_what_was_only_appended_to_is_whole(self, sql_store: SqlStore) -> None:
        await lived(sql_store)
        assert await sql_store.broken_chains() == ()

    @pytest.mark.parametrize(
        ("statement", "told"),
        [
            (
                "UPDATE audit SET actor = 'mallory' WHERE chain = 'resetd'",
                "audit of resetd: line 1 is not as",
            ),
            ("DELETE FROM audit WHERE chain = 'resetd'", "audit of resetd: line 1 is missing"),
            ("DELETE FROM audit_heads WHERE chain = 'resetd'", "audit of resetd: its end is not known"),
            ("UPDATE history SET type = 'x' WHERE sequence = 2", "/1: line 2 is not as it was written"),
            ("DELETE FROM history WHERE sequence = 4", "/1: line 4 is missing"),
        ],
    )
    async def test_the_first_broken_line_is_named(
        self, sql_store: SqlStore, database_url: str, statement: str, told: str
    ) -> None:
        await lived(sql_store)
        await asyncio.to_thread(execute, database_url, statement)
        assert told in "\n".join(await sql_store.broken_chains())

    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_every_change_of_any_row_is_found(self, lived_file: Path, data: st.DataObject) -> None:
        with TemporaryDirectory() as directory:
            file = Path(directory) / "state.db"
            shutil.copy(lived_file, file)
            with closing(sqlite3.connect(file)) as connection:
                data.draw(st.sampled_from(TAMPERINGS))(connection, data)
                connection.commit()
            assert asyncio.run(checked(file)) != ()


async def alive(file: Path) -> tuple[str, ...]:
    async with open_store(f"sqlite:///{file}") as store:
        await lived(store)
        return await store.broken_chains()


async def checked(file: Path) -> tuple[str, ...]:
    async with open_store(f"sqlite:///{file}") as store:
        return await store.broken_chains()


PLACES = {"audit": ("chain", "number"), "history": ("reset_id", "sequence")}


def _table(data: st.DataObject) -> str:
    return data.draw(st.sampled_from(sorted(PLACES)), label="table")


def _row(connection: sqlite3.Connection, table: str, data: st.DataObject) -> int:
    rows = [row[0] for row in connection.execute(f"SELECT rowid FROM {table} ORDER BY rowid")]  # noqa: S608
    row: int = data.draw(st.sampled_from(rows), label="row")
    return row


def _update(connection: sqlite3.Connection, data: st.DataObject) -> None:
    table = _table(data)
    row = _row(connection, table, data)
    columns = [column[1] for column in connection.execute(f"PRAGMA table_info({table})")]
    column = data.draw(
        st.sampled_from([name for name in columns if name not in PLACES[table]]), label="column"
    )
    [before] = connection.execute(f"SELECT {column} FROM {table} WHERE rowid = ?", (row,)).fetchone()  # noqa: S608
    connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (_other(column, before), row))  # noqa: S608


def _other(column: str, before: object) -> object:
    if column == "at":
        return "2001-01-01 00:00:00.000000"
    if column in {"data", "facts"}:
        return json.dumps(json.loads(str(before)) | {"forged": True})
    words = {"action": "deny", "verdict": "refused", "code": "denied", "state": "denied"}
    other = words.get(column, 77 if column in {"act", "sequence"} else "sha256:forged")
    return other if other != before else "applied" if column == "verdict" else None


def _delete(connection: sqlite3.Connection, data: st.DataObject) -> None:
    table = _table(data)
    connection.execute(f"DELETE FROM {table} WHERE rowid = ?", (_row(connection, table, data),))  # noqa: S608


def _insert(connection: sqlite3.Connection, data: st.DataObject) -> None:
    """Insert a copy of a line, at the end of its chain or of a chain that is not there."""
    table = _table(data)
    row = _row(connection, table, data)
    chain, number = PLACES[table]
    columns = [column[1] for column in connection.execute(f"PRAGMA table_info({table})")]
    values = {name: name for name in columns} | {number: "99"}
    if data.draw(st.booleans(), label="elsewhere"):
        values |= {chain: "'elsewhere'"}
    connection.execute(
        f"INSERT INTO {table} ({', '.join(values)}) SELECT {', '.join(values.values())} "  # noqa: S608
        f"FROM {table} WHERE rowid = ?",
        (row,),
    )


def _reorder(connection: sqlite3.Connection, data: st.DataObject) -> None:
    """Swap two lines of a chain."""
    table = _table(data)
    chain, number = PLACES[table]
    found = connection.execute(f"SELECT {chain} FROM {table} GROUP BY {chain} HAVING count(*) > 1")  # noqa: S608
    name = data.draw(st.sampled_from(sorted(row[0] for row in found)), label="chain")
    query = f"SELECT {number} FROM {table} WHERE {chain} = ?"  # noqa: S608
    numbers = [row[0] for row in connection.execute(query, (name,))]
    one, two = data.draw(st.permutations(numbers), label="which")[:2]
    for new, old in ((-1, one), (one, two), (two, -1)):
        connection.execute(
            f"UPDATE {table} SET {number} = ? WHERE {chain} = ? AND {number} = ?",  # noqa: S608
            (new, name, old),
        )


TAMPERINGS: list[Callable[[sqlite3.Connection, st.DataObject], None]] = [_update, _delete, _insert, _reorder]


def execute(url: str, statement: str) -> None:
    address = parse(url)
    if address.get_backend_name() == "sqlite":
        with closing(sqlite3.connect(str(address.database))) as connection:
            connection.execute(statement)
            connection.commit()
    else:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement.encode())
