"""What a resumed reset may go on with: its consent, its backups, what it did under another image."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from daemon.config.catalog_file import load_catalog
from daemon.ports.errors import PermanentError, TemporaryError
from schemas.catalog.catalog import Catalog
from schemas.catalog.steps import VerifyEntry
from schemas.reasons import Reason
from tests.integration.api.stand import Stand, running

PRODUCTION = "los-demo-production"
SYSTEM = "seed.los-core-api.system"


def verified_by_command() -> Catalog:
    """The shipped catalog, with a tool's own command as the verification of each service."""
    catalog = load_catalog().catalog
    verify = (VerifyEntry(argv=("sh", "-c", "npx prisma migrate status")),)
    services = tuple(service.model_copy(update={"verify": verify}) for service in catalog.services)
    return catalog.model_copy(update={"services": services})


async def act(stand: Stand, reset: dict[str, Any], kind: str, person: str = "oli", **body: object) -> None:
    """Do an act, which has to be accepted, and wait until the holder of the reset has read it."""
    async with stand.client(person) as client:
        answer = await client.post(f"/resets/{reset['id']}/{kind}", json={"reason": "tests", **body})
    assert answer.status_code == 202, answer.text
    number = answer.json()["act"]
    async with asyncio.timeout(20):
        while True:
            found = await stand.context.store.find(reset["id"])
            assert found is not None
            if found.acts_seen >= number:
                return
            await asyncio.sleep(0.02)


async def approved(stand: Stand, reset: dict[str, Any]) -> dict[str, Any]:
    waiting = await stand.until(reset, "awaiting-approval")
    body = {"planHash": waiting["planHash"], "confirm": waiting["environment"]}
    await act(stand, reset, "approve", "ben", **body)
    return waiting


async def backups(stand: Stand, reset: dict[str, Any]) -> list[dict[str, Any]]:
    """The reset's dumps as the API lists them."""
    async with stand.client("oli") as client:
        found: list[dict[str, Any]] = (await client.get("/backups", params={"reset": reset["id"]})).json()
    return found


async def failed_after_consent(stand: Stand) -> dict[str, Any]:
    """Ask for a wipe of a production, which is approved, destroys something, and fails at a seed."""
    stand.failing["seed:system"] = b"Error: the roles are broken\n"
    services = ["data-builder-api", "los-core-api", "los-integrations"]
    reset = await stand.asked("pat", environment=PRODUCTION, mode="wipe", services=services)
    await approved(stand, reset)
    assert (await stand.until(reset, "failed", "done"))["stoppedAt"] == SYSTEM
    stand.failing.clear()
    return reset


class TestConsent:
    async def test_a_new_plan_that_nobody_approved_is_not_reached_by_cancelling_and_resuming(
        self, stand: Stand
    ) -> None:
        reset = await failed_after_consent(stand)
        stand.services[PRODUCTION, "los-core-api"].image_digest = "sha256:another"
        before = list(stand.pods.launched)
        await act(stand, reset, "resume", replan=True)
        await stand.until(reset, "awaiting-approval")
        await act(stand, reset, "cancel")
        await stand.until(reset, "cancelled")
        await act(stand, reset, "resume")
        again = await stand.until(reset, "awaiting-approval", "done", "failed")
        assert again["state"] == "awaiting-approval"
        assert again["approvals"]["given"] == []
        assert again["approvals"]["expiresAt"] is not None
        assert stand.pods.launched == before
        await approved(stand, reset)
        assert (await stand.until(reset, "done", "failed"))["state"] == "done"

    async def test_d1_nothing_more_is_destroyed_after_a_stop_on_the_consent_and_the_dump_from_before(
        self, stand: Stand
    ) -> None:
        reset = await failed_after_consent(stand)
        destroyed = list(stand.pods.launched)
        dumps = await backups(stand, reset)
        await act(stand, reset, "resume")
        again = await stand.until(reset, "awaiting-approval", "done", "failed")
        assert (again["state"], again["approvals"]["given"]) == ("awaiting-approval", [])
        assert [one["actor"] for one in again["spentApprovals"]] == ["ben"]
        assert (stand.pods.launched, await backups(stand, reset)) == (destroyed, dumps)
        await approved(stand, reset)
        done = await stand.until(reset, "done", "failed")
        assert done["state"] == "done"
        later = [one for one in await backups(stand, reset) if one not in dumps]
        left = {f"{PRODUCTION}-core", f"{PRODUCTION}-integrations"}
        assert {one["resource"].rpartition("/")[2] for one in later} == left
        assert {(one["stops"], one["first"]) for one in dumps} == {(0, True)}
        assert {(one["stops"], one["first"]) for one in later} == {(1, False)}
        assert {one["path"] for one in (*dumps, *later)} <= stand.saved.keys()

    async def test_d1_a_stop_before_anything_was_destroyed_takes_no_consent_away(self, stand: Stand) -> None:
        """Another input of the kind: the dump itself failed."""
        url = f"{PRODUCTION}-ui-builder"
        database = next(one for one in stand.databases if one.name == url)
        reset = await stand.asked("pat", environment=PRODUCTION, mode="seed", services=["ui-builder-api"])
        await stand.until(reset, "awaiting-approval")
        stand.pods.fail("choose", PermanentError(Reason.POD_NOT_FOUND, "it is gone"))
        await approved(stand, reset)
        assert (await stand.until(reset, "failed", "done"))["state"] == "failed"
        assert database.tables
        await act(stand, reset, "resume")
        done = await stand.until(reset, "done", "failed", "awaiting-approval")
        assert (done["state"], [one["actor"] for one in done["approvals"]["given"]]) == ("done", ["ben"])

    async def test_d1_where_nothing_is_left_to_destroy_nobody_is_asked_and_nothing_is_dumped(
        self, tmp_path: Path
    ) -> None:
        async with running(tmp_path, catalog=verified_by_command()) as stand:
            stand.failing["migrate status"] = b"Following migration have not yet been applied\n"
            reset = await stand.asked(
                "pat", environment=PRODUCTION, mode="seed", services=["ui-builder-api"], git=False
            )
            await approved(stand, reset)
            failed = await stand.until(reset, "failed", "done")
            assert failed["stoppedAt"] == "verify.ui-builder-api"
            dumps = await backups(stand, reset)
            stand.failing.clear()
            await act(stand, reset, "resume")
            assert (await stand.until(reset, "done", "failed", "awaiting-approval"))["state"] == "done"
            assert await backups(stand, reset) == dumps

    async def test_d1_who_denies_to_destroy_again_leaves_the_way_on_and_back_open(self, stand: Stand) -> None:
        reset = await failed_after_consent(stand)
        await act(stand, reset, "resume")
        await stand.until(reset, "awaiting-approval")
        await act(stand, reset, "deny", "ben")
        denied = await stand.until(reset, "failed", "denied")
        assert (denied["state"], denied["cause"]) == ("failed", "denied")
        await act(stand, reset, "resume")
        await approved(stand, reset)
        assert (await stand.until(reset, "done", "failed"))["state"] == "done"


class TestBackups:
    async def test_a_database_is_backed_up_again_after_a_stop_and_the_first_dump_stays(
        self, stand: Stand
    ) -> None:
        stand.failing["db:deploy"] = b"Error: P3018\n"
        reset = await stand.asked()
        failed = await stand.until(reset, "failed", "done")
        assert failed["stoppedAt"] == "migrate.core.deploy"
        stand.failing.clear()
        await act(stand, reset, "resume")
        done = await stand.until(reset, "done", "failed")
        made = {
            step["name"]: step["attempts"] for step in done["steps"] if step["name"].startswith("backup.")
        }
        assert set(made.values()) == {2}
        dumps = await backups(stand, reset)
        assert len({one["path"] for one in dumps}) == len(dumps) == 12
        assert {(one["stops"], one["first"]) for one in dumps} == {(0, True), (1, False)}


class TestReplan:
    async def test_what_another_image_did_is_done_again_by_the_new_one_unless_its_class_forbids_that(
        self, stand: Stand
    ) -> None:
        stand.failing["populate-core-entities"] = b"Error: broken\n"
        reset = await stand.asked(options=["populate-core-entities"])
        assert (await stand.until(reset, "failed", "done"))["state"] == "failed"
        stand.failing.clear()
        before = len(stand.pods.launched)
        stand.services["qa-sandbox", "los-integrations"].image_digest = "sha256:another"
        await act(stand, reset, "resume", replan=True)
        assert (await stand.until(reset, "done", "failed"))["state"] == "done"
        again = {attempt.split("/")[1] for attempt, _ in stand.pods.launched[before:]}
        assert "seed.los-integrations.deploy" in again
        assert "seed.los-integrations.reset" not in again  # of class `never`
        assert SYSTEM not in again

    async def test_a_refusal_by_a_rule_is_not_the_end_of_a_reset_that_has_destroyed_something(
        self, stand: Stand
    ) -> None:
        stand.failing["seed:system"] = b"Error: the roles are broken\n"
        reset = await stand.asked(mode="wipe")
        await stand.until(reset, "failed")
        stand.failing.clear()
        # Who shares what can't be told any more.
        stand.services[PRODUCTION, "ui-builder-api"].replicas = 0
        await act(stand, reset, "resume", replan=True)
        refused = await stand.until(reset, "rejected", "failed", "done")
        assert (refused["state"], refused["cause"]) == ("failed", "sharing-unknown")


class TestSeveralUnknownOutcomes:
    async def test_each_has_to_be_resolved_before_locks_are_let_go_or_anything_runs_again(
        self, tmp_path: Path
    ) -> None:
        async with running(tmp_path, catalog=verified_by_command()) as stand:
            stand.held["prisma migrate status"] = asyncio.Event()
            services = ["sequence-builder-api", "ui-builder-api"]
            reset = await stand.asked(services=services)
            checks = [f"verify.{service}" for service in services]
            await stand.until(reset, "verifying")
            async with asyncio.timeout(20):
                while sum("/verify." in one for one, _ in stand.pods.launched) < len(checks):  # noqa: ASYNC110 - pods tell nobody
                    await asyncio.sleep(0.02)
            for service in services:
                await stand.pods.remove(stand.services["qa-sandbox", service])
            await stand.until(reset, "needs-operator")
            await act(stand, reset, "resolve", step=checks[0], outcome="failed")
            assert (await stand.until(reset, "needs-operator", "failed"))["state"] == "needs-operator"
            assert await stand.context.store.locks() != ()
            await act(stand, reset, "resolve", step=checks[1], outcome="failed")
            assert (await stand.until(reset, "needs-operator", "failed"))["state"] == "failed"
            assert await stand.context.store.locks() == ()


class TestFacts:
    async def test_a_reset_that_holds_its_locks_does_not_wait_for_ever_for_facts(self, stand: Stand) -> None:
        stand.failing["seed:system"] = b"Error\n"
        reset = await stand.asked()
        await stand.until(reset, "failed")
        stand.failing.clear()
        for _ in range(200):
            stand.pods.fail("environments", TemporaryError(Reason.KUBERNETES_UNREACHABLE, "away"))
        await act(stand, reset, "resume")
        failed = await stand.until(reset, "failed", "done")
        assert (failed["state"], failed["cause"]) == ("failed", "kubernetes-unreachable")
        assert await stand.context.store.locks() == ()
