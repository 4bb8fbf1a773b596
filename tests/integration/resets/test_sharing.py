"""Resets that share a database follow one another, first come first served; others run side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sandbox.journal import Journal
from sandbox.platform.platform import Platform
from sandbox.services.standins.controls import Control
from schemas.publish import Mode, ResetRequested
from tests.integration.people.spans import spans, whole
from tests.integration.stand.harness import Harness, running
from tests.integration.stand.waiting import wait_for

ACME, BETA, QA = "acme-sandbox", "beta-sandbox", "qa-sandbox"


def ask(harness: Harness, environment: str, **wanted: Any) -> str:  # noqa: ANN401 - fields of the request
    """Publish a request; the id of its event."""
    return harness.publisher.publish(ResetRequested(environment=environment, requested_by="tests", **wanted))


def waiting(harness: Harness, reference: str) -> dict[str, Any]:
    """What the reset waits for, once it waits for locks."""

    def look() -> dict[str, Any] | None:
        environment, _, number = reference.partition("/")
        for one in harness.resets(environment):
            if str(one["number"]) == number:
                said: dict[str, Any] | None = one["waitingFor"]
                return said if said is not None and said["reason"] == "locks" else None
        return None

    return wait_for(look, f"{reference} waits for locks", within=30)


@dataclass(frozen=True)
class Story:
    """Three environments, requested at the same moment, until all of them were reset."""

    harness: Harness
    resets: dict[str, dict[str, Any]]
    plans: dict[str, dict[str, Any]]
    journal: Journal

    def shared(self) -> set[str]:
        """Resources in the plans of both acme-sandbox and beta-sandbox."""
        of_acme, of_beta = ({one["key"] for one in self.plans[name]["resources"]} for name in (ACME, BETA))
        return of_acme & of_beta

    def touching(self, environment: str, keys: set[str]) -> list[str]:
        """Steps of an environment's reset that touch one of the resources."""
        return [one["name"] for one in self.plans[environment]["steps"] if keys & set(one["touches"])]

    def in_order(self) -> tuple[str, str]:
        """The one of acme-sandbox and beta-sandbox whose commands came first, then the other."""
        first, second = sorted(
            (ACME, BETA), key=lambda name: spans(self.journal, self.resets[name]["id"])[0].begun
        )
        return first, second


@pytest.fixture(scope="module")
def story(sharing: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    for environment in (ACME, BETA, QA):
        # Long enough to be seen to overlap, or not to, on any machine.
        sharing.control(environment, "los-core-api", **{"seed:system": Control(seconds=1.0)})
    with running(sharing, tmp_path_factory.mktemp("sharing")) as harness:
        for environment in (ACME, BETA, QA):
            ask(harness, environment)
        resets = {name: harness.wait_state(f"{name}/1", "done") for name in (QA, ACME, BETA)}
        plans = {name: harness.daemon.get(f"/api/v1/resets/{name}/1/plan") for name in resets}
        yield Story(harness, resets, plans, sharing.journal_reader())


@pytest.mark.timeout(360)
class TestRequestedTogether:
    def test_the_two_share_exactly_their_core_database(self, story: Story) -> None:
        (key,) = story.shared()
        users = {
            tuple(one["users"])
            for plan in story.plans.values()
            for one in plan["resources"]
            if one["key"] == key
        }
        assert users == {(ACME, BETA)}
        for environment in (ACME, BETA):
            steps = story.touching(environment, {key})
            assert {name.partition(".")[0] for name in steps} >= {"backup", "migrate", "seed"}

    def test_no_command_of_one_touches_the_shared_database_between_the_others_first_and_last(
        self, story: Story
    ) -> None:
        keys = story.shared()
        both = [
            spans(story.journal, story.resets[name]["id"], story.touching(name, keys))
            for name in (ACME, BETA)
        ]
        assert all(len(each) >= 3 for each in both)
        assert not whole(both[0]).overlaps(whole(both[1]))

    def test_all_locks_are_taken_at_once_so_no_command_at_all_comes_in_between(self, story: Story) -> None:
        one, other = (whole(spans(story.journal, story.resets[name]["id"])) for name in (ACME, BETA))
        assert not one.overlaps(other)

    def test_backups_too_are_taken_by_one_after_the_other(self, story: Story) -> None:
        first, second = story.in_order()
        began = [
            one["startedAt"]
            for one in story.harness.reset(f"{second}/1")["attempts"]
            if one["step"].startswith("backup.")
        ]
        assert began
        assert min(began) > max(one["finishedAt"] for one in story.harness.reset(f"{first}/1")["attempts"])

    def test_the_status_of_the_one_that_waits_names_the_resource_and_who_holds_it(self, story: Story) -> None:
        first, second = story.in_order()
        told = story.harness.status(story.resets[second]["id"], "done")
        said = [one["waitingFor"] for one in told if one.get("waitingFor", {}).get("reason") == "locks"]
        assert said
        assert {tuple(one["heldBy"]) for one in said} == {(story.resets[first]["id"],)}
        assert {tuple(one["resources"]) for one in said} == {tuple(story.shared())}
        assert {one["state"] for one in told if one.get("waitingFor", {}).get("reason") == "locks"} == {
            "queued"
        }

    def test_an_environment_that_shares_nothing_runs_beside_them(self, story: Story) -> None:
        keys = {one["key"] for one in story.plans[QA]["resources"]}
        for name in (ACME, BETA):
            assert not keys & {one["key"] for one in story.plans[name]["resources"]}
        alone = spans(story.journal, story.resets[QA]["id"])
        others = [one for name in (ACME, BETA) for one in spans(story.journal, story.resets[name]["id"])]
        assert any(one.overlaps(other) for one in alone for other in others)

    def test_nothing_was_launched_twice(self, story: Story) -> None:
        assert not story.harness.twice()
        for reset in story.resets.values():
            assert set(story.harness.launches(reset["id"]).values()) == {1}


@pytest.mark.timeout(360)
def test_those_that_wait_are_served_in_the_order_in_which_they_came_also_after_a_kill(
    sharing: Platform, tmp_path: Path
) -> None:
    only = {"mode": Mode.SEED, "services": ("los-core-api",)}
    for environment in (ACME, BETA):
        sharing.control(environment, "los-core-api", **{"seed:system": Control(seconds=0.3)})
    # The first keeps its locks until everybody is in the queue, however slow the machine is.
    sharing.control(BETA, "ui-builder-api", seed=Control(seconds=600))
    with running(sharing, tmp_path) as harness:
        ask(harness, BETA, mode=Mode.SEED, services=("los-core-api", "ui-builder-api"))
        harness.wait_state(f"{BETA}/1", "seeding")
        references = [f"{BETA}/1"]
        ids = [harness.reset(references[0])["id"]]
        for environment, reference in ((ACME, f"{ACME}/1"), (BETA, f"{BETA}/2"), (ACME, f"{ACME}/2")):
            ask(harness, environment, **only, reason=f"as {reference}")
            said = waiting(harness, reference)
            assert said["heldBy"] == ids
            references.append(reference)
            ids.append(harness.reset(reference)["id"])
        held = [one for one in harness.daemon.get("/api/v1/locks") if one["granted"]]
        assert {one["resetId"] for one in held} == {ids[0]}
        harness.daemon.kill()
        harness.start()
        for reference in references[1:]:
            waiting(harness, reference)
        assert harness.act(references[0], "cancel", reason="makes room").status_code == 202
        harness.wait_state(references[0], "cancelled")
        for reference in references[1:]:
            harness.wait_state(reference, "done")
        journal = sharing.journal_reader()
        each = [whole(spans(journal, reset_id)) for reset_id in ids]
        assert each == sorted(each, key=lambda one: one.begun)
        assert not any(one.overlaps(next_) for one, next_ in pairwise(each))
        assert not harness.twice()
