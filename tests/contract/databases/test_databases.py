"""What every databases port has to do."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from daemon.ports.databases import Leftover
from daemon.ports.errors import PermanentError, TemporaryError
from schemas.reasons import Reason
from schemas.wire import AttemptId
from statemachines.steps.session_names import session_name
from tests.contract.conftest import PASSWORD
from tests.contract.databases.conftest import Stand

ENVIRONMENT = "qa-sandbox"
ATTEMPT = AttemptId("r/seed.app/1")


async def test_one_database_has_one_key_whatever_the_url_says_beside_it(stand: Stand) -> None:
    core = await stand.databases.identify(stand.core, environment=ENVIRONMENT)
    again = await stand.databases.identify(stand.again, environment=ENVIRONMENT)
    assert core.key == again.key
    kind, identifier, name = core.key.split("/")
    assert (kind, name, core.name) == ("database", "core", "core")
    assert identifier.isdigit()
    assert core.server_version >= 160000
    assert core.size_bytes > 0


async def test_two_databases_of_one_server_have_two_keys(stand: Stand) -> None:
    core = await stand.databases.identify(stand.core, environment=ENVIRONMENT)
    other = await stand.databases.identify(stand.other, environment=ENVIRONMENT)
    assert core.key != other.key
    assert core.key.split("/")[1] == other.key.split("/")[1]


async def test_a_held_lock_is_seen_in_its_own_database_only_and_only_while_it_is_held(stand: Stand) -> None:
    async with stand.databases.hold_lock(stand.core, environment=ENVIRONMENT) as lock:
        assert 0 < lock.number < 2**31
        assert await lock.is_held()
        assert await stand.sees(stand.again, lock.number)
        assert not await stand.sees(stand.other, lock.number)
    assert not await stand.sees(stand.core, lock.number)
    assert not await lock.is_held()


async def test_each_lock_has_a_number_of_its_own(stand: Stand) -> None:
    async with (
        stand.databases.hold_lock(stand.core, environment=ENVIRONMENT) as one,
        stand.databases.hold_lock(stand.core, environment=ENVIRONMENT) as two,
    ):
        assert one.number != two.number


async def test_a_server_that_does_not_answer_is_temporary_and_its_error_holds_no_password(
    stand: Stand,
) -> None:
    with pytest.raises(TemporaryError) as raised:
        await stand.databases.identify(stand.silent, environment=ENVIRONMENT)
    assert raised.value.reason is Reason.DATABASE_UNREACHABLE
    assert PASSWORD not in f"{raised.value!r} {raised.value.__cause__!r} {raised.value.__context__!r}"


@pytest.mark.parametrize("url", ["mysql://u:s3cret-Pa55@db/core", "", "s3cret-Pa55"])
async def test_what_is_no_postgresql_url_is_unidentified_and_not_shown(stand: Stand, url: str) -> None:
    with pytest.raises(PermanentError) as raised:
        await stand.databases.identify(url, environment=ENVIRONMENT)
    assert raised.value.reason is Reason.DATABASE_UNIDENTIFIED
    assert PASSWORD not in repr(raised.value)


async def left(stand: Stand, since: datetime, working_at: datetime | None = None, url: str = "") -> Leftover:
    return await stand.databases.leftover(
        url or stand.core, environment=ENVIRONMENT, attempt=ATTEMPT, since=since, working_at=working_at
    )


async def test_a_statement_that_may_be_the_attempts_is_left_until_it_ends(stand: Stand) -> None:
    since = datetime.now(UTC)
    assert (await left(stand, since)).sessions == ()
    async with stand.working(stand.core, "engine"):
        first = await left(stand, since)
        assert len(first.sessions) == 1
        assert (await left(stand, since, first.at)).sessions == first.sessions
        assert (await left(stand, since, url=stand.other)).sessions == ()
        assert (await left(stand, since + timedelta(minutes=15))).sessions == ()
    assert (await left(stand, since, first.at)).sessions == ()


async def test_a_statement_that_began_after_the_attempt_was_gone_is_somebody_elses(stand: Stand) -> None:
    since = datetime.now(UTC)
    gone = (await left(stand, since)).at
    async with stand.working(stand.core, "service"):
        assert (await left(stand, since, gone)).sessions == ()


async def test_a_session_that_carries_the_attempts_name_is_ended(stand: Stand) -> None:
    since = datetime.now(UTC)
    async with stand.working(stand.core, session_name(ATTEMPT)):
        first = await left(stand, since)
        assert len(first.sessions) == 1
        async with asyncio.timeout(10):
            while (await left(stand, since, first.at)).sessions:  # noqa: ASYNC110 - asked of a server
                await asyncio.sleep(0.05)


async def test_the_sessions_of_clients_are_listed_while_they_are_there_and_none_of_ours(stand: Stand) -> None:
    async def present(url: str) -> list[str]:
        found = await stand.databases.sessions(url, environment=ENVIRONMENT)
        return [session.application for session in found]

    async with stand.working(stand.core, "metabase"), stand.working(stand.core, "resetd:attempt"):
        assert await present(stand.core) == ["metabase"]
        assert await present(stand.again) == ["metabase"]
        assert await present(stand.other) == []
        (session,) = await stand.databases.sessions(stand.core, environment=ENVIRONMENT)
        assert not session.hidden
        assert session.writes
        assert session.since is not None
    with pytest.raises(TemporaryError):
        await present(stand.silent)
