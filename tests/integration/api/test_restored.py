"""A state that was restored from an older backup launches nothing again, until a person adopts it.

Over 300 lines: one story, of a world beside whose backups an older state is put.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from uuid_utils import uuid7

from daemon.adapters.system.clock import SystemClock
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from daemon.restored_state.adoption import Adoption
from daemon.restored_state.lack import Lack
from daemon.restored_state.lost_launches import StillAtWorkError
from schemas.audit import AuditAction
from schemas.intake import NewRequest
from schemas.reasons import Reason
from schemas.requests import ResetRequested
from schemas.resets import Channel, ResetState
from statemachines.intake.content_hash import content_hash
from tests.integration.api.stand import Stand, running
from tests.memory.marks import MemoryMarks
from tests.memory.pods import MemoryPods
from tests.memory.store import MemoryStore

SYSTEM = "seed.los-core-api.system"


@asynccontextmanager
async def restored(older: MemoryStore, former: Stand, directory: Path) -> AsyncIterator[Stand]:
    """Run a daemon on a copy of a state, beside the backups of the former daemon. Its containers are new ones."""
    await asyncio.to_thread(directory.mkdir)
    async with running(directory, store=older, marks=former.marks, saved=former.saved) as stand:
        for service in stand.services.values():
            await stand.pods.restart(service)
        # The environments' databases are on the servers on which they were.
        for before, now in zip(former.databases, stand.databases, strict=True):
            now.incarnation = before.incarnation
        yield stand


async def until_behind(stand: Stand) -> str:
    """Wait until the daemon is not ready. The answer is what `/readyz` says of the mark."""
    async with asyncio.timeout(10):
        transport = httpx.ASGITransport(stand.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://resetd") as client:
            while (answer := await client.get("/readyz")).status_code != 503:  # noqa: ASYNC110 - it sends no event
                await asyncio.sleep(0.02)
            return str(answer.json()["checks"]["mark"])


def event(identifier: str = "one") -> NewRequest:
    request = ResetRequested(environment="qa-sandbox", requested_by="pipeline", reason=identifier)
    return NewRequest(
        id=str(uuid7()),  # type: ignore[arg-type]
        request=request,
        channel=Channel.KAFKA,
        source="/tests",
        event_id=identifier,
        content_hash=content_hash(request),
    )


def copied(store: MemoryStore) -> MemoryStore:
    return copy.deepcopy(store)


async def adopted(stand: Stand, *, ended: bool = False) -> Lack:
    @asynccontextmanager
    async def pods() -> AsyncIterator[MemoryPods]:
        yield stand.pods

    adoption = Adoption(stand.store, stand.marks, SystemClock(), pods, owner="adopt")
    finding = await adoption.look()
    await adoption.adopt(finding, actor="root", reason="the disk died", ended=ended)
    assert not (await adoption.look()).behind
    return finding


async def test_an_older_state_starts_nothing_and_says_why(stand: Stand, tmp_path: Path) -> None:
    stand.held["db:seed:data-builder"] = asyncio.Event()
    reset = await stand.asked()
    await stand.until(reset, "seeding")
    older = copied(stand.store)
    stand.held["db:seed:data-builder"].set()
    await stand.until(reset, "done")
    async with restored(older, stand, tmp_path / "older") as later:
        assert "older than the mark" in await until_behind(later)
        async with later.client("oli") as client:
            listed = (await client.get("/resets")).json()["items"]
        assert [reset["state"] for reset in listed] == ["seeding"]
        # It goes on growing by what others take in meanwhile; that makes it no newer.
        for number in range(3):
            await later.store.admit(event(str(number)), now=SystemClock().now(), limit_waiting=3)
        [first, *_] = await later.store.resets(states=[ResetState.PLANNING])
        moved = [state for state in ResetState if state is not ResetState.PLANNING]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.5):
                await later.until({"id": first.id}, *moved)
        assert later.pods.launched == []


async def test_an_older_state_accepts_nothing_that_its_next_restoring_would_lose(
    stand: Stand, tmp_path: Path
) -> None:
    older = copied(stand.store)
    reset = await stand.asked()
    await stand.until(reset, "done")
    held = await older.admit(event("held"), now=SystemClock().now(), limit_waiting=3)
    async with restored(older, stand, tmp_path / "older") as later:
        await until_behind(later)
        async with later.client("oli") as client:
            for path, body in (
                ("/resets", b'{"environment": "qa-sandbox"}'),
                (f"/resets/{held.reset.id}/cancel", b"{}"),
            ):
                answer = await client.post(path, content=body, headers={"Content-Type": "application/json"})
                assert (answer.status_code, answer.json()["code"]) == (503, "state-restored")
                assert "db adopt" in answer.json()["hint"]
        assert len(await later.store.resets()) == 1
        assert await later.store.unread_acts(held.reset.id, 0) == ()


async def test_once_adopted_what_a_newer_state_launched_is_unknown_and_a_person_says(
    stand: Stand, tmp_path: Path
) -> None:
    stand.held["db:seed:data-builder"] = asyncio.Event()
    reset = await stand.asked()
    await stand.until(reset, "seeding")
    older = copied(stand.store)
    stand.held["db:seed:data-builder"].set()
    done = await stand.until(reset, "done")
    ran = {attempt["step"] for attempt in done["attempts"]}
    async with restored(older, stand, tmp_path / "older") as later:
        await until_behind(later)
        finding = await adopted(later)
        assert [known.id for known in finding.known] == [reset["id"]]
        stopped = await later.until(reset, "needs-operator")
        assert stopped["cause"] == "state-restored"
        states = {step["name"]: step["state"] for step in stopped["steps"]}
        # The open one, and all that the newer state launched after the copy was made: nothing is pending any more.
        assert {name for name, state in states.items() if state == "unknown"} == {
            name for name in ran if name.startswith(("seed.", "git.", "verify."))
        }
        assert "pending" not in states.values()
        async with later.client("oli") as client:
            path = f"/resets/{reset['id']}"
            refused = await client.post(f"{path}/resume", json={})
            assert refused.json()["code"] == "outcome-unknown"
            for name, state in states.items():
                if state == "unknown":
                    outcome = "failed" if name == SYSTEM else "succeeded"
                    body = {"step": name, "outcome": outcome, "reason": "I looked"}
                    answer = await client.post(f"{path}/resolve", json=body)
                    if answer.status_code != 202:
                        assert answer.json()["code"] == "not-skippable", answer.text
                        again = await client.post(f"{path}/resolve", json={**body, "outcome": "failed"})
                        assert again.status_code == 202
            await later.until(reset, "failed")
            assert later.pods.launched == []
            assert (await client.post(f"{path}/resume", json={})).status_code == 202
            lines = (await client.get("/audit", params={"actor": "root"})).json()
        assert {line["chain"] for line in lines} == {"resetd", reset["id"]}
        assert all(
            line["action"] == AuditAction.ADOPT and line["reason"] == "the disk died" for line in lines
        )
        await later.until(reset, "done")
        launched = [attempt for attempt, _ in later.pods.launched]
        assert f"{reset['id']}/{SYSTEM}/2" in launched
        assert not {f"{reset['id']}/{SYSTEM}/1"} & set(launched)


async def test_the_event_of_a_reset_that_is_lost_does_not_ask_for_it_again(
    stand: Stand, tmp_path: Path
) -> None:
    older = copied(stand.store)

    now = SystemClock().now()
    lost = await stand.store.admit(event(), now=now, limit_waiting=3)
    await stand.until({"id": lost.reset.id}, "done")
    async with restored(older, stand, tmp_path / "older") as later:
        # It has launched nothing itself, so nothing but the marks tells that it is an older one.
        await until_behind(later)
        finding = await adopted(later)
        assert list(finding.lost) == [lost.reset.id]
        try:
            again = await later.store.admit(event(), now=now, limit_waiting=3)
        except ValueError:
            again = None
        assert again is None
        fine = await later.asked(mode="seed")
        await later.until(fine, "done")


async def test_a_failed_reset_is_not_resumed_once_a_lost_one_may_have_touched_its_resources(
    stand: Stand, tmp_path: Path
) -> None:
    stand.failing["seed:system"] = b"Error: the roles are broken\n"
    failed = await stand.asked()
    await stand.until(failed, "failed")
    stand.failing.clear()
    older = copied(stand.store)
    lost = await stand.asked(mode="seed")
    await stand.until(lost, "done")
    async with restored(older, stand, tmp_path / "older") as later:
        await until_behind(later)
        await adopted(later)
        async with later.client("oli") as client:
            refused = await client.post(f"/resets/{failed['id']}/resume", json={"reason": "again"})
        assert (refused.status_code, refused.json()["code"]) == (409, "superseded")
        assert lost["id"] in refused.json()["detail"]


async def test_one_that_somebody_may_have_cancelled_since_does_not_go_on_by_itself(
    stand: Stand, tmp_path: Path
) -> None:
    stand.held["db:seed:data-builder"] = asyncio.Event()
    first = await stand.asked()
    await stand.until(first, "seeding")
    waiting = await stand.asked(mode="seed")
    await stand.until(waiting, "queued")
    older = copied(stand.store)
    async with stand.client("oli") as client:
        answer = await client.post(f"/resets/{waiting['id']}/cancel", json={"reason": "not today"})
        assert answer.status_code == 202
    await stand.until(waiting, "cancelled")
    stand.held["db:seed:data-builder"].set()
    await stand.until(first, "done")
    async with restored(older, stand, tmp_path / "older") as later:
        await until_behind(later)
        finding = await adopted(later)
        assert {known.id for known in finding.known} == {first["id"], waiting["id"]}
        stopped = await later.until(waiting, "needs-operator")
        assert (stopped["cause"], stopped["stoppedIn"]) == ("state-restored", "queued")
        async with later.client("oli") as client:
            refused = await client.post(f"/resets/{waiting['id']}/resume", json={})
        assert "cancel" in refused.json()["detail"]


async def test_what_a_lost_reset_launched_has_to_end_before_its_state_is_adopted(
    stand: Stand, tmp_path: Path
) -> None:
    older = copied(stand.store)
    stand.held["db:seed:data-builder"] = asyncio.Event()
    lost = await stand.asked()
    attempt = f"{lost['id']}/seed.data-builder-api.data-builder/1"
    await stand.until_launched("db:seed:data-builder")
    await asyncio.to_thread((tmp_path / "older").mkdir)
    async with running(tmp_path / "older", store=older, marks=stand.marks) as later:
        # The disk with the state died, the cluster did not: the very same pods, and what runs in them.
        later.pods = stand.pods
        await until_behind(later)
        with pytest.raises(StillAtWorkError, match=f"{attempt} still runs in"):
            await adopted(later)
        assert await later.store.audit() == ()
        stand.held["db:seed:data-builder"].set()
        await stand.until(lost, "done")
        assert lost["id"] in (await adopted(later)).lost


@pytest.mark.parametrize(
    "error",
    [
        TemporaryError(Reason.KUBERNETES_UNREACHABLE, "no route to host"),
        PermanentError(Reason.KUBERNETES_FORBIDDEN, "missing right: get pods"),
    ],
    ids=["away", "forbidden"],
)
async def test_nobodys_word_takes_the_place_of_a_cluster_that_was_not_asked(
    stand: Stand, tmp_path: Path, error: PortError
) -> None:
    older = copied(stand.store)
    stand.held["db:seed:data-builder"] = asyncio.Event()
    lost = await stand.asked()
    await stand.until_launched("db:seed:data-builder")
    await asyncio.to_thread((tmp_path / "older").mkdir)
    async with running(tmp_path / "older", store=older, marks=stand.marks) as later:
        away = MemoryPods()
        for _ in range(100):
            away.fail("fate", error)
        later.pods = away
        await until_behind(later)
        with pytest.raises(StillAtWorkError, match=error.detail):
            await adopted(later, ended=True)
        assert await later.store.audit() == ()
    stand.held["db:seed:data-builder"].set()
    await stand.until(lost, "done")


async def test_what_kubernetes_knows_nothing_of_has_ended_by_the_word_of_who_adopts(
    stand: Stand, tmp_path: Path
) -> None:
    older = copied(stand.store)
    lost = await stand.asked()
    await stand.until(lost, "done")
    # Another cluster, or one that was made anew: it answers, and knows none of those pods.
    async with restored(older, stand, tmp_path / "older") as later:
        for service in later.services.values():
            await later.pods.replace(service)
        await until_behind(later)
        with pytest.raises(StillAtWorkError, match="Kubernetes knows nothing of"):
            await adopted(later)
        assert await later.store.audit() == ()
        await adopted(later, ended=True)
        [line] = await later.store.audit()
    assert line.facts is not None
    assert any(attempt.startswith(lost["id"]) for attempt in line.facts["endedByWord"])


async def test_a_new_state_beside_the_backups_of_another_is_adopted_once(
    stand: Stand, tmp_path: Path
) -> None:
    reset = await stand.asked()
    await stand.until(reset, "done")
    async with restored(MemoryStore(SystemClock()), stand, tmp_path / "new") as later:
        assert "another state database" in await until_behind(later)
        await adopted(later)
        fine = await later.asked(mode="seed")
        await later.until(fine, "done")


async def test_a_state_whose_marks_are_gone_may_be_an_older_one_and_is_adopted_first(
    stand: Stand, tmp_path: Path
) -> None:
    reset = await stand.asked()
    await stand.until(reset, "done")
    # A directory that is not mounted, or another machine's: nothing in it says how far the state had come.
    stand.marks, stand.saved = MemoryMarks(), {}
    async with restored(copied(stand.store), stand, tmp_path / "unmounted") as later:
        assert "RESETD_BACKUP_URL" in await until_behind(later)
        await adopted(later)
        fine = await later.asked(mode="seed")
        await later.until(fine, "done")
