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


SOON = 5.0
"""Seconds in which what was sent arrives."""
NEVER = 0.3
"""Seconds after which what did not arrive is not going to."""


async def test_a_witness_hears_a_nonce_that_is_sent_in_its_database_before_it_listens_for_it_or_after(
    stand: Stand,
) -> None:
    async with stand.databases.witness(stand.core, environment=ENVIRONMENT) as witness:
        await stand.notify(stand.again, "before")
        assert await witness.hear("before", timeout=SOON)
        hearing = asyncio.create_task(witness.hear("after", timeout=SOON))
        await asyncio.sleep(0)
        await stand.notify(stand.core, "after")
        assert await hearing


async def test_a4_a_witness_hears_nothing_that_nobody_sent_or_that_was_sent_elsewhere(stand: Stand) -> None:
    async with stand.databases.witness(stand.core, environment=ENVIRONMENT) as witness:
        await stand.notify(stand.core, "another")
        await stand.notify(stand.other, "nonce")
        assert not await witness.hear("nonce", timeout=NEVER)


async def test_b1_a_copied_server_has_the_same_key_and_is_not_heard(stand: Stand) -> None:
    copied = await stand.databases.identify(stand.copy, environment=ENVIRONMENT)
    async with stand.databases.witness(stand.core, environment=ENVIRONMENT) as witness:
        assert copied.key == witness.identity.key
        await stand.notify(stand.copy, "nonce")
        assert not await witness.hear("nonce", timeout=NEVER)


async def test_several_who_wait_at_one_witness_each_hear_their_own_nonce(stand: Stand) -> None:
    nonces = [f"nonce-{number}" for number in range(8)]
    async with stand.databases.witness(stand.core, environment=ENVIRONMENT) as witness:
        hearing = [asyncio.create_task(witness.hear(nonce, timeout=SOON)) for nonce in (*nonces, "nobody's")]
        for nonce in reversed(nonces):
            await stand.notify(stand.core, nonce)
        assert await witness.is_alive()
        assert await asyncio.gather(*hearing) == [*[True] * 8, False]


async def test_a_witness_is_alive_until_its_block_ends(stand: Stand) -> None:
    async with stand.databases.witness(stand.core, environment=ENVIRONMENT) as witness:
        assert 0 < witness.lock < 2**31
        assert await witness.is_alive()
    assert not await witness.is_alive()
    assert not await witness.hear("nonce", timeout=NEVER)
    assert not await stand.databases.leads_to(witness, stand.core, environment=ENVIRONMENT)


async def test_b2_a_new_session_recognises_a_witness_in_its_own_database_of_its_own_server_only(
    stand: Stand,
) -> None:
    async with stand.databases.witness(stand.core, environment=ENVIRONMENT) as witness:
        led = [
            await stand.databases.leads_to(witness, url, environment=ENVIRONMENT)
            for url in (stand.core, stand.again, stand.other, stand.copy)
        ]
        assert led == [True, True, False, False]


async def test_b2_a_witness_in_a_copy_is_not_recognised_in_the_first_server(stand: Stand) -> None:
    async with (
        stand.databases.witness(stand.core, environment=ENVIRONMENT) as first,
        stand.databases.witness(stand.copy, environment=ENVIRONMENT) as second,
    ):
        assert first.identity.key == second.identity.key
        assert first.incarnation != second.incarnation
        assert first.lock != second.lock
        assert not await stand.databases.leads_to(second, stand.core, environment=ENVIRONMENT)


async def test_b2_a_server_that_was_started_again_has_another_incarnation_and_no_witness(
    stand: Stand,
) -> None:
    async with stand.databases.witness(stand.core, environment=ENVIRONMENT) as before:
        stand.restart()
        assert not await before.is_alive()
        assert not await before.hear("nonce", timeout=NEVER)
        with pytest.raises(TemporaryError):
            await before.sees("anybody")
    async with stand.databases.witness(stand.core, environment=ENVIRONMENT) as after:
        assert after.identity.key == before.identity.key
        assert after.incarnation != before.incarnation


async def test_a_witness_sees_sessions_of_its_database_by_their_name(stand: Stand) -> None:
    async with stand.databases.witness(stand.core, environment=ENVIRONMENT) as witness:
        async with stand.working(stand.core, "dump-1"), stand.working(stand.copy, "dump-2"):
            assert await witness.sees("dump-1")
            assert not await witness.sees("dump-2")
        async with asyncio.timeout(SOON):
            while await witness.sees("dump-1"):  # noqa: ASYNC110 - asked of a server
                await asyncio.sleep(0.05)


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


async def test_a_servers_own_address_suits_locks_and_dumps(stand: Stand) -> None:
    await stand.databases.identify(stand.core, environment=ENVIRONMENT, direct=True)


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("localhost", Reason.DATABASE_LOCAL_TO_POD),
        ("127.0.0.1", Reason.DATABASE_LOCAL_TO_POD),
        ("[::1]", Reason.DATABASE_LOCAL_TO_POD),
        ("one.svc,two.svc", Reason.DATABASE_SEVERAL_HOSTS),
    ],
)
async def test_an_address_that_may_lead_elsewhere_is_refused(stand: Stand, host: str, reason: Reason) -> None:
    url = f"postgresql://fuse:{PASSWORD}@{host}/core"
    for direct in (False, True):
        with pytest.raises(PermanentError) as raised:
            await stand.databases.identify(url, environment=ENVIRONMENT, direct=direct)
        assert raised.value.reason is reason
        assert PASSWORD not in repr(raised.value)


async def test_the_sessions_of_clients_are_listed_while_they_are_there_and_none_of_ours(stand: Stand) -> None:
    async def present(url: str) -> list[str]:
        found = await stand.databases.sessions(url, environment=ENVIRONMENT)
        return [session.application for session in found]

    async with stand.working(stand.core, "metabase"), stand.working(stand.core, "resetd:attempt"):
        # A command of an attempt is told by its pod: the one of another cluster's reset is named alike.
        assert await present(stand.core) == ["metabase", "resetd:attempt"]
        assert await present(stand.again) == ["metabase", "resetd:attempt"]
        assert await present(stand.other) == []
        session, _ = await stand.databases.sessions(stand.core, environment=ENVIRONMENT)
        assert not session.hidden
        assert session.writes
        assert session.since is not None
    with pytest.raises(TemporaryError):
        await present(stand.silent)
