"""What a reset tells the world."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from schemas.plan import Phase
from schemas.reasons import Reason
from schemas.requests import ResetRequested
from schemas.resets import Channel, Outcome, OutcomeKind, Reset, ResetState, Step, StepState, Waiting
from schemas.status import STEP_FINISHED, STEP_STARTED, Status, status_type
from schemas.wire import ResetId, StepName
from statemachines.commits import check_commit
from statemachines.history.status import next_status
from statemachines.history.status_record import Subject, committed, status_record

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SEED = StepName(f"{Phase.SEED}.los-core-api.system")
RESET = Reset(
    id=ResetId("01a20abd-c8d6-7418-a154-641150cb967e"),
    number=12,
    environment="qa-sandbox",
    request=ResetRequested(environment="qa-sandbox", requested_by="ann", idempotency_key="k"),
    channel=Channel.KAFKA,
    requested_by=("ann", "bob"),
    event_source="/publisher",
    event_id="e1",
    state=ResetState.SEEDING,
    plan_hash="sha256:x",
    sequence=6,
    created_at=NOW,
    updated_at=NOW,
)
STEPS = (
    Step(name=StepName("backup.a"), index=0, state=StepState.SUCCEEDED),
    Step(name=StepName("seed.b"), index=1, state=StepState.SKIPPED),
    Step(name=SEED, index=2, state=StepState.RUNNING),
)


def test_a_state_is_told_with_the_next_sequence_and_the_progress() -> None:
    reset, entry = next_status(RESET, at=NOW, steps=STEPS)
    status = Status.model_validate(entry.data)
    assert (reset.sequence, entry.sequence, status.sequence) == (7, 7, 7)
    assert entry.type == "com.fuse.environment.reset.seeding.v1"
    assert entry.data["progress"] == {"done": 2, "total": 3}
    assert entry.data["requestedBy"] == ["ann", "bob"]
    assert entry.data["request"] == {"source": "/publisher", "id": "e1"}
    assert (status.idempotency_key, status.plan_hash, status.number) == ("k", "sha256:x", 12)
    check_commit(reset, None, (entry,))


def test_a_step_is_told_with_its_attempt_and_outcome() -> None:
    outcome = Outcome(kind=OutcomeKind.FAILED, exit_code=1, cause=Reason.MIGRATION_LOCKED, hint="wait")
    started, first = next_status(RESET, at=NOW, steps=STEPS, event=STEP_STARTED, step=SEED, attempt=2)
    _, second = next_status(
        started, at=NOW, steps=STEPS, event=STEP_FINISHED, step=SEED, attempt=2, outcome=outcome
    )
    assert (first.type, second.type) == (status_type("step-started"), status_type("step-finished"))
    assert (second.data["step"], second.data["attempt"], second.data["outcome"]) == (SEED, 2, "failed")
    assert (second.data["exitCode"], second.data["cause"], second.data["hint"]) == (
        1,
        "migration-locked",
        "wait",
    )
    assert second.sequence == first.sequence + 1


def test_a_stop_is_told_with_its_step_cause_and_what_it_waits_for() -> None:
    stopped = RESET.model_copy(
        update={
            "state": ResetState.FAILED,
            "cause": Reason.COMMAND_FAILED,
            "hint": "look",
            "stopped_at": SEED,
            "waiting_for": Waiting(reason="retry", detail="later", until=NOW),
        }
    )
    _, entry = next_status(stopped, at=NOW)
    assert (entry.data["step"], entry.data["cause"], entry.data["hint"]) == (SEED, "command-failed", "look")
    assert entry.data["waitingFor"]["until"] == "2026-11-23T12:00:00Z"
    assert "progress" not in entry.data


def test_the_same_status_is_the_same_event_however_often_it_is_made() -> None:
    reset, entry = next_status(RESET, at=NOW)
    whole = committed(entry, environment_sequence=40, public_url="https://resetd.example/")
    assert whole.data["links"] == {"self": f"https://resetd.example/api/v1/resets/{RESET.id}"}
    assert whole.data["environmentSequence"] == 40
    assert status_record(Subject.of(reset), whole) == status_record(Subject.of(reset), whole)
    assert dict(status_record(Subject.of(reset), whole).headers)["ce_id"] == f"{RESET.id}/7".encode()
    assert "environmentSequence" not in entry.data


@pytest.mark.parametrize("sequence", [6, 8])
def test_a_change_whose_history_has_a_gap_is_refused(sequence: int) -> None:
    _, entry = next_status(RESET, at=NOW)
    with pytest.raises(ValueError, match="gaps"):
        check_commit(RESET.model_copy(update={"sequence": sequence}), None, (entry,))


def test_a_change_with_another_resets_history_is_refused() -> None:
    reset, entry = next_status(RESET, at=NOW)
    with pytest.raises(ValueError, match="another reset"):
        check_commit(reset, None, (entry.model_copy(update={"reset_id": ResetId("other")}),))
