from __future__ import annotations

from datetime import UTC, datetime, timedelta

from daemon.metrics import Metrics
from daemon.ports.store.leases import Change, Lease
from schemas.requests import ResetRequested
from schemas.resets import Attempt, Channel, HistoryEntry, Outcome, OutcomeKind, Reset, ResetState
from schemas.status import STEP_FINISHED, STEP_STARTED, status_type
from schemas.wire import AttemptId, ResetId, StepName

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ID = ResetId("r")


def change(*events: str, attempt: Attempt | None = None) -> Change:
    reset = Reset(
        id=ID,
        number=1,
        environment="qa-sandbox",
        request=ResetRequested(environment="qa-sandbox", requested_by="ana"),
        channel=Channel.HTTP,
        requested_by=("ana",),
        state=ResetState.SEEDING,
        created_at=NOW,
        updated_at=NOW,
    )
    history = tuple(
        HistoryEntry(reset_id=ID, sequence=at, at=NOW, type=status_type(event), data={"state": "seeding"})
        for at, event in enumerate(events, 1)
    )
    return Change(reset, Lease(ID, "o", 1), history=history, attempts=(attempt,) if attempt else ())


def test_what_was_stored_is_counted_once() -> None:
    metrics = Metrics()
    step = StepName("seed.los-core-api.system")
    started = Attempt(id=AttemptId("r/s/1"), reset_id=ID, step=step, number=1, started_at=NOW)
    ended = started.model_copy(
        update={"finished_at": NOW + timedelta(seconds=7), "outcome": Outcome(kind=OutcomeKind.FAILED)}
    )
    metrics.observe(change("seeding"))
    metrics.observe(change(STEP_STARTED, attempt=started))
    metrics.observe(change(attempt=started))
    metrics.observe(change(STEP_FINISHED, attempt=ended))
    lines = metrics.exposition().decode().splitlines()
    assert 'resetd_reset_states_entered_total{state="seeding"} 1.0' in lines
    assert "resetd_attempts_total 1.0" in lines
    assert 'resetd_steps_total{outcome="failed"} 1.0' in lines
    assert 'resetd_steps_total{outcome="succeeded"} 0.0' in lines
    assert 'resetd_step_seconds_bucket{le="5.0",phase="seed"} 0.0' in lines
    assert 'resetd_step_seconds_bucket{le="10.0",phase="seed"} 1.0' in lines
