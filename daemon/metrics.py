"""Metrics for Prometheus, in a registry of their own."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from daemon.ports.store.leases import Change
from schemas.plan import Phase
from schemas.resets import OutcomeKind, ResetState
from schemas.retention import GROWING
from schemas.status import STEP_FINISHED, STEP_STARTED, status_type

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_STARTED, _FINISHED = status_type(STEP_STARTED), status_type(STEP_FINISHED)
_SECONDS = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


class Metrics:
    """The daemon's metrics. Labels have few, known values: states, outcomes, results. Never ids or people's names."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.resets = Gauge(
            "resetd_resets",
            "Resets that are not over, by state; of all replicas.",
            ["state"],
            registry=self.registry,
        )
        self.entered = Counter(
            "resetd_reset_states_entered",
            "States that this process led resets to.",
            ["state"],
            registry=self.registry,
        )
        self.attempts = Counter(
            "resetd_attempts", "Attempts that this process started.", registry=self.registry
        )
        self.steps = Counter(
            "resetd_steps", "Attempts that came to an end, by outcome.", ["outcome"], registry=self.registry
        )
        self.step_seconds = Histogram(
            "resetd_step_seconds",
            "How long attempts took.",
            ["phase"],
            registry=self.registry,
            buckets=_SECONDS,
        )
        self.outbox = Gauge(
            "resetd_outbox_messages",
            "Messages that wait to be published; of all replicas.",
            registry=self.registry,
        )
        self.intake = Counter(
            "resetd_intake_records",
            "Records read: accepted, joined, duplicate, rejected, act, dead-letter, ignored.",
            ["result"],
            registry=self.registry,
        )
        self.leases_lost = Counter(
            "resetd_leases_lost", "Resets that another replica took over.", registry=self.registry
        )
        self.pruned = Counter(
            "resetd_pruned_rows",
            "Old rows that this process removed from the state database, by table.",
            ["table"],
            registry=self.registry,
        )
        self.table_rows = Gauge(
            "resetd_table_rows",
            "Rows of the state database by table, counted every ten minutes.",
            ["table"],
            registry=self.registry,
        )
        for table in GROWING:
            self.pruned.labels(table)
            self.table_rows.labels(table)
        for state in ResetState:
            self.entered.labels(state.value)
        for outcome in OutcomeKind:
            self.steps.labels(outcome.value)
        for phase in Phase:
            self.step_seconds.labels(phase.value)

    def observe(self, change: Change) -> None:
        """Count what a stored change says. Each line of its history is one thing that happened."""
        for entry in change.history:
            if entry.type == _STARTED:
                self.attempts.inc()
            elif entry.type != _FINISHED:
                self.entered.labels(str(entry.data["state"])).inc()
        for attempt in change.attempts:
            if attempt.outcome is not None and attempt.finished_at is not None:
                self.steps.labels(attempt.outcome.kind.value).inc()
                took = (attempt.finished_at - attempt.started_at).total_seconds()
                self.step_seconds.labels(attempt.step.partition(".")[0]).observe(took)

    def count_resets(self, states: Iterable[ResetState], among: Iterable[ResetState]) -> None:
        """Set the gauge of each state in `among` to how often the state is in `states`."""
        tally = Tally(states)
        for state in among:
            self.resets.labels(state.value).set(tally[state])

    def exposition(self) -> bytes:
        """All metrics in the text format of Prometheus."""
        return generate_latest(self.registry)
