"""What people and events ask of a reset that is under way, and kills in the states that they lead to."""

from __future__ import annotations

import asyncio
import json
import shlex
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sandbox.platform.platform import Platform
from sandbox.services.standins.controls import Control
from schemas.publish import CancelRequested, ResetRequested
from tests.integration.people.asking import (
    ENVIRONMENT,
    SEEDED,
    SOON,
    act,
    ask,
    attempts,
    launched,
    left_running,
    resetd,
    step,
    until_running,
)
from tests.integration.stand.harness import Harness, running
from tests.integration.stand.outages import vanish
from tests.integration.stand.waiting import wait_for

SEQUENCE, UI = "sequence-builder-api", "ui-builder-api"


def behave(platform: Platform, service: str, **how: object) -> None:
    platform.control(ENVIRONMENT, service, seed=Control(**how))  # type: ignore[arg-type]


def test_cancelling_ends_every_process_of_the_seed_also_of_one_that_is_deaf_to_being_asked(
    harness: Harness,
) -> None:
    behave(harness.platform, SEQUENCE, seconds=60.0)
    behave(harness.platform, UI, seconds=60.0, ignore_term=True)
    polite, deaf = ask(harness, SEQUENCE), ask(harness, UI)
    for reference, service in ((polite, SEQUENCE), (deaf, UI)):
        until_running(harness, reference, SEEDED[service])
        assert harness.act(reference, "cancel", reason="not today").status_code == 202
    for reference in (polite, deaf):
        cancelled = harness.wait_state(reference, "cancelled")
        assert cancelled["cause"] == "cancelled-by-request"
        assert "not today" in cancelled["detail"]
        assert not left_running(harness, reference)
        assert cancelled["destroyed"]
    assert attempts(harness, deaf, SEEDED[UI])[0]["outcome"]["kind"] == "interrupted"
    harness.platform.clear_controls()
    act(harness, polite, "resume")
    harness.wait_state(polite, "done")
    assert launched(harness, polite, SEEDED[SEQUENCE]) == [1, 1]
    assert step(harness, polite, "backup.sequence-builder")["attempts"] == 2
    assert not harness.twice()


def waits_for(harness: Harness, reference: str) -> str | None:
    """In one word, what it waits for."""
    waiting = harness.reset(reference)["waitingFor"]
    return waiting["reason"] if waiting else None


def test_a_reset_that_waits_can_be_cancelled_by_people_and_by_events(harness: Harness) -> None:
    behave(harness.platform, SEQUENCE, seconds=60.0)
    holding = ask(harness, SEQUENCE)
    until_running(harness, holding, SEEDED[SEQUENCE])
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    scheduled = ask(harness, UI, notBefore=later)
    locked_out = ask(harness, SEQUENCE, mode="refresh", git=False)
    wait_for(lambda: waits_for(harness, scheduled) == "not-before", "it waits for its time", within=SOON)
    wait_for(lambda: waits_for(harness, locked_out) == "locks", "it waits for the locks", within=SOON)
    held_by = harness.reset(locked_out)["waitingFor"]["heldBy"]
    assert held_by == [harness.reset(holding)["id"]]
    act(harness, scheduled, "cancel")
    harness.wait_state(scheduled, "cancelled")
    by_event = CancelRequested(
        environment=ENVIRONMENT,
        reset_id=harness.reset(locked_out)["id"],
        requested_by="deploy-bot",
        reason="another one follows",
    )
    harness.publisher.publish(by_event)
    cancelled = harness.wait_state(locked_out, "cancelled")
    assert cancelled["detail"] == "by deploy-bot: another one follows"
    assert harness.reset(holding)["state"] == "seeding"
    for reference in (scheduled, locked_out):
        assert not harness.launches(harness.reset(reference)["id"])
        over = harness.act(reference, "resume")
        assert (over.status_code, over.json()["type"].rpartition("/")[2]) == (409, "wrong-state")
    harness.publisher.publish(by_event.model_copy(update={"reset_id": harness.reset(holding)["id"]}))
    harness.wait_state(holding, "cancelled")
    assert not left_running(harness, holding)


def test_a_kill_in_a_state_of_rest_or_of_cancelling_changes_nothing_and_the_state_is_told(
    platform: Platform, tmp_path: Path
) -> None:
    with running(platform, tmp_path) as harness:
        crash_after(harness, "planned")
        planned = ask(harness, UI, dryRun=True)
        killed_after(harness, "planned")
        crash_after(harness, "rejected")
        stands(harness, planned, "planned")
        harness.publisher.publish(ResetRequested(environment="qb-sandbox", requested_by="tests"))
        killed_after(harness, "rejected")
        behave(platform, UI, fail="no such thing")
        crash_after(harness, "failed")
        stands(harness, "qb-sandbox/1", "rejected")
        failing = ask(harness, UI)
        killed_after(harness, "failed")
        stands(harness, failing, "failed")
        behave(platform, SEQUENCE, seconds=60.0, ignore_term=True)
        behave(platform, UI, seconds=60.0)
        cancelling, lost = ask(harness, SEQUENCE), ask(harness, UI, mode="refresh", git=False)
        until_running(harness, lost, SEEDED[UI])
        until_running(harness, cancelling, SEEDED[SEQUENCE])
        crash_after(harness, "cancelling", "cancelled")
        assert harness.act(cancelling, "cancel").status_code == 202
        killed_after(harness, "cancelling")
        harness.start()
        killed_after(harness, "cancelled")
        stands(harness, cancelling, "cancelled")
        assert not left_running(harness, cancelling)
        crash_after(harness, "needs-operator")
        vanish(platform, ENVIRONMENT, UI)
        killed_after(harness, "needs-operator")
        stands(harness, lost, "needs-operator")
        assert not harness.twice()
    asyncio.run(platform.until_ready([ENVIRONMENT]))


def crash_after(harness: Harness, *states: str) -> None:
    """The daemon dies right after its next commit into each of these states."""
    for state in states:
        (harness.crashes / f"after-{state}").touch()


def killed_after(harness: Harness, state: str) -> None:
    """Wait until it died there."""
    wait_for(lambda: harness.daemon.pid is None, f"it dies after {state}", within=SOON)
    assert not (harness.crashes / f"after-{state}").exists()


def stands(harness: Harness, reference: str, state: str) -> None:
    """Started again, the daemon shows that state, and tells it."""
    harness.start()
    found = harness.wait_state(reference, state)
    assert harness.status(found["id"], state)[-1]["state"] == state


def test_a_long_seed_that_is_found_alive_after_each_of_many_kills_is_no_poison(
    platform: Platform, tmp_path: Path
) -> None:
    behave(platform, SEQUENCE, seconds=90.0)
    with running(platform, tmp_path) as harness:
        reference = ask(harness, SEQUENCE)
        until_running(harness, reference, SEEDED[SEQUENCE])
        for _ in range(4):
            before = harness.reset(reference)["version"]
            harness.daemon.kill()
            harness.start()
            wait_for(
                lambda before=before: harness.reset(reference)["version"] > before,  # type: ignore[misc]
                "its command was found again",
                within=SOON,
            )
            assert harness.reset(reference)["state"] == "seeding"
        act(harness, reference, "cancel")
        harness.wait_state(reference, "cancelled")
        assert not left_running(harness, reference)
        assert launched(harness, reference, SEEDED[SEQUENCE]) == [1]


def test_who_waited_long_for_something_else_waits_for_argocd_as_long_as_anybody(
    platform: Platform, tmp_path: Path
) -> None:
    asyncio.run(platform.cluster.hold_health(ENVIRONMENT, "Progressing"))
    try:
        with running(platform, tmp_path) as harness:
            not_before = datetime.now(UTC) + timedelta(hours=1)
            reference = ask(harness, UI, notBefore=not_before.isoformat())
            wait_for(
                lambda: waits_for(harness, reference) == "not-before", "it waits for its time", within=SOON
            )
            harness.daemon.kill()
            days_pass(tmp_path / "state.sqlite3", timedelta(days=2))
            harness.start()
            wait_for(lambda: waits_for(harness, reference) == "argocd", "it waits for ArgoCD", within=SOON)
            asyncio.run(platform.cluster.let_health_go(ENVIRONMENT))
            harness.wait_state(reference, "done")
    finally:
        asyncio.run(platform.cluster.let_health_go(ENVIRONMENT))


def days_pass(state: Path, time: timedelta) -> None:
    """All that the stored resets know of time moves into the past."""
    names = ("created_at", "updated_at", "wake_at")
    with sqlite3.connect(state) as connection:
        connection.row_factory = sqlite3.Row
        for row in connection.execute("SELECT * FROM resets").fetchall():
            moved = {name: earlier(row[name], time) for name in names if row[name]}
            for name in ("request", "waiting_for"):
                moved[name] = json.dumps(in_the_past(json.loads(row[name]), time))
            setting = ", ".join(f"{name} = :{name}" for name in moved)
            connection.execute(f"UPDATE resets SET {setting} WHERE id = :id", {**moved, "id": row["id"]})  # noqa: S608
    connection.close()


def earlier(moment: str, time: timedelta) -> str:
    moved = datetime.fromisoformat(moment) - time
    return moved.isoformat(sep=moment[10], timespec="microseconds")


def in_the_past(value: object, time: timedelta) -> object:
    """The same JSON with each moment in it moved."""
    if isinstance(value, dict):
        return {key: in_the_past(item, time) for key, item in value.items()}
    if isinstance(value, str) and len(value) > 18 and value[4] == value[7] == "-" and value[10] == "T":
        return (datetime.fromisoformat(value) - time).isoformat()
    return value


def test_one_whole_story_by_the_command_line(harness: Harness) -> None:
    asked = resetd(harness, "request", ENVIRONMENT, "-m", "seed", "-s", UI, "--wait", "--reason", "a story")
    assert (asked.returncode, asked.stderr.count("Traceback")) == (0, 0), asked
    reference = asked.stdout.split()[0]
    assert f"{reference} is done" in asked.stdout
    listed = resetd(harness, "list", "-o", "name")
    assert reference in listed.stdout.split()
    shown = resetd(harness, "show", reference)
    assert SEEDED[UI] in shown.stdout
    watched = resetd(harness, "watch", reference)
    assert (watched.returncode, "\x1b" in watched.stdout) == (0, False)
    assert f"step-finished  {SEEDED[UI]}  attempt=1  succeeded" in watched.stdout
    waited = resetd(harness, "wait", reference, "--for", "seeding", "--timeout", "5s")
    assert waited.returncode == 0
    logs = resetd(harness, "logs", reference, SEEDED[UI])
    assert "scripts/seed/index.ts" in logs.stdout
    plan = resetd(harness, "plan", ENVIRONMENT, "-s", UI)
    assert (plan.returncode, SEEDED[UI] in plan.stdout) == (0, True)
    script = resetd(harness, "plan", ENVIRONMENT, "-s", UI, "-o", "sh")
    # A command whose lines may mean failure stands behind a word of the script's own.
    typed = [shlex.split(line) for line in script.stdout.splitlines() if "kubectl exec" in line]
    assert ["sh", "-c", "npm run seed"] in [words[-3:] for words in typed]
    doctor = resetd(harness, "doctor", ENVIRONMENT)
    assert doctor.returncode == 0, doctor
    behave(harness.platform, UI, fail="no components")
    failed = resetd(harness, "request", ENVIRONMENT, "-m", "seed", "-s", UI, "--wait")
    assert failed.returncode == 1
    reference = failed.stdout.split()[0]
    assert "no components" in resetd(harness, "logs", reference, SEEDED[UI], "--tail", "10").stdout
    harness.platform.clear_controls()
    assert resetd(harness, "resume", reference).returncode == 0
    wait_for(lambda: harness.reset(reference)["state"] != "failed", "it goes on", within=SOON)
    assert resetd(harness, "wait", reference, "--timeout", "60s").returncode == 0
    refused = resetd(harness, "cancel", reference, "--yes")
    assert (refused.returncode, "wrong-state" in refused.stderr) == (3, True), refused
    wrong = resetd(harness, "request", ENVIRONMENT, "-s", "nobody", "--wait")
    assert (wrong.returncode, "unknown-service" in wrong.stdout + wrong.stderr) == (3, True), wrong
