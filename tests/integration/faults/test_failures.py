"""What breaks in the middle of a reset, and what the reset makes of it: a cause, the last lines, a way on."""

from __future__ import annotations

import asyncio

from sandbox.postgres.faults import migration_lock
from sandbox.services.standins.controls import Control
from tests.integration.people.asking import (
    ENVIRONMENT,
    SEEDED,
    SOON,
    act,
    ask,
    attempts,
    launched,
    left_running,
    step,
    until_attempted,
    until_running,
)
from tests.integration.stand.harness import Harness
from tests.integration.stand.outages import (
    kill_container,
    vanish,
    without_credentials,
    without_database,
    without_kubernetes,
    without_pods,
)
from tests.integration.stand.waiting import wait_for

SEQUENCE, UI = "sequence-builder-api", "ui-builder-api"
UNREACHABLE = "PrismaClientInitializationError: P1001: Can't reach database server at `db:5432`"


def behave(harness: Harness, service: str, script: str = "seed", **how: object) -> None:
    harness.platform.control(ENVIRONMENT, service, **{script: Control(**how)})  # type: ignore[arg-type]


def test_a_failing_seed_stops_the_reset_with_cause_and_last_lines_and_resume_goes_on_from_there(
    harness: Harness,
) -> None:
    broken = 'duplicate key value violates unique constraint "component_types_pkey"'
    behave(harness, UI, fail=broken)
    reference = ask(harness, SEQUENCE, UI)
    failed = harness.wait_state(reference, "failed")
    assert (failed["cause"], failed["stoppedIn"], failed["stoppedAt"]) == (
        "command-failed",
        "seeding",
        SEEDED[UI],
    )
    assert broken in failed["detail"]
    assert "npm run seed:list" in failed["hint"]
    told = harness.status(failed["id"], "failed")[-1]
    assert (told["cause"], told["hint"]) == (failed["cause"], failed["hint"])
    harness.platform.clear_controls()
    act(harness, reference, "resume")
    harness.wait_state(reference, "done")
    assert launched(harness, reference, SEEDED[SEQUENCE]) == [1]
    assert launched(harness, reference, SEEDED[UI]) == [1, 1]
    assert step(harness, reference, "backup.sequence-builder")["attempts"] == 1
    assert not harness.twice()


def test_a_step_of_class_never_is_not_tried_again_by_itself_but_can_be_skipped(harness: Harness) -> None:
    behave(harness, "los-core-api", "seed:mock", fail=UNREACHABLE)
    reference = ask(harness, "los-core-api", options=["mock"])
    failed = harness.wait_state(reference, "failed")
    mock = "seed.los-core-api.mock"
    assert (failed["cause"], failed["stoppedAt"]) == ("database-unreachable", mock)
    assert "resetd doctor" in failed["hint"]
    assert launched(harness, reference, mock) == [1]
    needed = harness.act(reference, "skip", step=SEEDED["los-core-api"], reason="no")
    assert (needed.status_code, needed.json()["type"].rpartition("/")[2]) == (409, "not-skippable")
    act(harness, reference, "skip", step=mock, reason="the mocks are not needed")
    act(harness, reference, "resume")
    harness.wait_state(reference, "done")
    assert step(harness, reference, mock)["state"] == "skipped"
    assert not harness.twice(never={mock})
    assert launched(harness, reference, mock) == [1]


def test_what_fails_for_now_is_tried_again_until_it_succeeds(harness: Harness) -> None:
    behave(harness, SEQUENCE, fail=UNREACHABLE)
    seeding = ask(harness, SEQUENCE)
    deploy = "seed.ui-builder-api.deploy"
    url = harness.platform.postgres_url(ENVIRONMENT, UI)
    with migration_lock(url) as lock:
        deploying = ask(harness, UI, mode="refresh", git=False)
        first = until_attempted(harness, seeding, SEEDED[SEQUENCE])
        assert (first["outcome"]["cause"], first["outcome"]["temporary"]) == ("database-unreachable", True)
        harness.platform.clear_controls()
        first = until_attempted(harness, deploying, deploy)
        assert (first["outcome"]["cause"], first["outcome"]["temporary"]) == ("migration-locked", True)
        assert "P1002" in first["outcome"]["detail"]
        lock.close()
    harness.wait_state(seeding, "done")
    harness.wait_state(deploying, "done")
    assert launched(harness, deploying, deploy) == [1, 1]
    assert not harness.twice()


def test_a_service_without_pods_stops_the_reset_and_it_goes_on_once_there_is_one(harness: Harness) -> None:
    behave(harness, SEQUENCE, seconds=6.0)
    reference = ask(harness, SEQUENCE, UI)
    until_running(harness, reference, SEEDED[SEQUENCE])
    with without_pods(harness.platform, ENVIRONMENT, UI):
        failed = harness.wait_state(reference, "failed")
        assert (failed["cause"], failed["stoppedAt"]) == ("pod-not-found", SEEDED[UI])
        assert "scaled to 0" in failed["detail"]
        assert "kubectl get deployments" in failed["hint"]
        refused = harness.wait_state(ask(harness, UI), "failed")
        assert (refused["cause"], refused["stoppedIn"]) == ("pod-not-found", "planning")
        assert "kubectl get deployments" in refused["hint"]
    act(harness, reference, "resume")
    harness.wait_state(reference, "done")
    assert launched(harness, reference, SEEDED[SEQUENCE]) == [1]
    assert launched(harness, reference, SEEDED[UI]) == [1]


def test_a_database_that_is_away_for_a_while_is_waited_for_and_needs_a_new_dump_where_it_was_dumped_before(
    harness: Harness,
) -> None:
    behave(harness, SEQUENCE, seconds=4.0)
    seeding = ask(harness, SEQUENCE)
    until_running(harness, seeding, SEEDED[SEQUENCE])
    with without_database(harness.platform, "qa"):
        asked = ask(harness, UI)
        waiting = wait_for(
            lambda: harness.reset(asked)["waitingFor"], "it says what it waits for", within=SOON
        )
        assert waiting["reason"] == "facts"
        first = until_attempted(harness, seeding, SEEDED[SEQUENCE])
        assert (first["outcome"]["cause"], first["outcome"]["temporary"]) == ("database-unreachable", True)
        harness.platform.clear_controls()
    # The server that was started again may be a copy of the one that was dumped.
    stopped = harness.wait_state(seeding, "failed")
    assert (stopped["cause"], stopped["stoppedAt"]) == ("database-mismatch", SEEDED[SEQUENCE])
    assert "new dump" in stopped["hint"]
    harness.wait_state(asked, "done")
    assert launched(harness, seeding, SEEDED[SEQUENCE]) == [1]
    assert not harness.twice()


def test_f9_a_protected_repository_is_refused_while_nothing_is_destroyed(harness: Harness) -> None:
    github = harness.platform.github
    repository = "qa-workflows"
    asyncio.run(github.push(repository, {"flows/planned.json": "{}"}, message="Left by somebody"))
    pushed = asyncio.run(github.head(repository))
    asyncio.run(github.protect(repository, "main", "non_fast_forward"))
    try:
        reference = ask(harness, SEQUENCE, git=True)
        failed = harness.wait_state(reference, "failed")
    finally:
        asyncio.run(github.protect(repository, "main"))
    assert failed["cause"] == "repository-ruleset"
    assert "non_fast_forward" in failed["detail"]
    assert not launched(harness, reference, SEEDED[SEQUENCE])
    assert asyncio.run(github.head(repository)) == pushed


def test_a_protected_repository_stops_the_reset_with_the_rules_text(harness: Harness) -> None:
    github = harness.platform.github
    repository = "qa-workflows"
    asyncio.run(github.push(repository, {"flows/left.json": "{}"}, message="Left by somebody"))
    pushed = asyncio.run(github.head(repository))
    behave(harness, SEQUENCE, seconds=4.0)
    reference = ask(harness, SEQUENCE, git=True)
    # Known at planning, it would be refused there: somebody protects the branch while the reset runs.
    until_running(harness, reference, SEEDED[SEQUENCE])
    asyncio.run(github.protect(repository, "main", "non_fast_forward"))
    try:
        failed = harness.wait_state(reference, "failed")
    finally:
        asyncio.run(github.protect(repository, "main"))
    assert (failed["cause"], failed["stoppedAt"]) == ("repository-refused", f"git.{repository}")
    assert "non_fast_forward" in failed["detail"]
    assert failed["hint"]
    assert asyncio.run(github.head(repository)) == pushed
    act(harness, reference, "resume")
    harness.wait_state(reference, "done")
    assert asyncio.run(github.head(repository)) != pushed
    assert asyncio.run(github.head(repository, f"backup/{failed['id']}")) == pushed


def test_cut_streams_and_a_killed_api_server_change_nothing_about_a_running_seed(harness: Harness) -> None:
    behave(harness, SEQUENCE, seconds=8.0)
    reference = ask(harness, SEQUENCE)
    until_running(harness, reference, SEEDED[SEQUENCE])
    for _ in range(3):
        asyncio.run(harness.platform.cluster.cut_streams())
    with without_kubernetes(harness.platform):
        assert left_running(harness, reference)
    asyncio.run(harness.platform.cluster.cut_streams())
    harness.wait_state(reference, "done")
    assert launched(harness, reference, SEEDED[SEQUENCE]) == [1]
    assert [one["outcome"]["kind"] for one in attempts(harness, reference, SEEDED[SEQUENCE])] == ["succeeded"]


def test_a_container_that_dies_under_a_command_interrupts_it_and_its_class_says_what_follows(
    harness: Harness,
) -> None:
    mock = "seed.los-core-api.mock"
    behave(harness, SEQUENCE, seconds=60.0)
    behave(harness, "los-core-api", "seed:mock", seconds=60.0)
    safe, never = ask(harness, SEQUENCE), ask(harness, "los-core-api", options=["mock"])
    until_running(harness, safe, SEEDED[SEQUENCE])
    kill_container(harness.platform, ENVIRONMENT, SEQUENCE)
    until_running(harness, never, mock)
    kill_container(harness.platform, ENVIRONMENT, "los-core-api")
    harness.platform.clear_controls()
    failed = harness.wait_state(never, "failed")
    assert (failed["cause"], failed["stoppedAt"]) == ("command-interrupted", mock)
    assert failed["hint"]
    harness.wait_state(safe, "done")
    assert launched(harness, never, mock) == [1]
    assert launched(harness, safe, SEEDED[SEQUENCE]) == [1, 1]
    first = attempts(harness, safe, SEEDED[SEQUENCE])[0]
    assert first["outcome"]["kind"] == "interrupted"
    assert not harness.twice(never={mock})


def test_a_pod_that_vanishes_under_a_command_calls_an_operator_and_is_resolved(harness: Harness) -> None:
    behave(harness, SEQUENCE, seconds=60.0)
    reference = ask(harness, SEQUENCE)
    until_running(harness, reference, SEEDED[SEQUENCE])
    vanish(harness.platform, ENVIRONMENT, SEQUENCE)
    harness.platform.clear_controls()
    lost = harness.wait_state(reference, "needs-operator")
    assert (lost["cause"], lost["stoppedAt"]) == ("outcome-unknown", SEEDED[SEQUENCE])
    assert "resetd resolve" in lost["hint"]
    assert step(harness, reference, SEEDED[SEQUENCE])["state"] == "unknown"
    early = harness.act(reference, "resume")
    assert (early.status_code, early.json()["type"].rpartition("/")[2]) == (409, "outcome-unknown")
    asyncio.run(harness.platform.until_ready([ENVIRONMENT]))
    act(harness, reference, "resolve", step=SEEDED[SEQUENCE], outcome="failed", reason="the pod is gone")
    harness.wait_state(reference, "failed")
    act(harness, reference, "resume")
    harness.wait_state(reference, "done")
    assert launched(harness, reference, SEEDED[SEQUENCE]) == [1, 1]
    assert not harness.twice()


def test_cancelling_keeps_the_locks_while_a_command_of_unknown_outcome_may_still_run(
    harness: Harness,
) -> None:
    # It outlasts the minute for which refused credentials are waited for.
    behave(harness, SEQUENCE, seconds=300.0)
    reference = ask(harness, SEQUENCE)
    until_running(harness, reference, SEEDED[SEQUENCE])
    with without_credentials(harness.platform):
        act(harness, reference, "cancel", reason="enough of it")
        lost = harness.wait_state(reference, "needs-operator")
        assert lost["cause"] == "outcome-unknown"
        assert left_running(harness, reference)
        locks = harness.daemon.get("/api/v1/locks")
        assert [one["resetId"] for one in locks if one["granted"]] == [lost["id"]]
    act(harness, reference, "cancel", reason="enough of it")
    harness.wait_state(reference, "cancelled")
    assert not left_running(harness, reference)
    assert not harness.daemon.get("/api/v1/locks")
