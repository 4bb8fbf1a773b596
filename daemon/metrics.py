"""Figures for Prometheus, in a registry of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from schemas.resets import OutcomeKind, ResetState

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


class Metrics:
    """What the daemon counts. Labels are few and closed: states, outcomes, results; never ids or names of people."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.resets = Gauge("resetd_resets", "Resets by state.", ["state"], registry=self.registry)
        self.steps = Counter(
            "resetd_steps", "Steps that came to an end, by outcome.", ["outcome"], registry=self.registry
        )
        self.attempts = Counter("resetd_attempts", "Attempts that were started.", registry=self.registry)
        self.step_seconds = Histogram(
            "resetd_step_seconds",
            "How long attempts took.",
            ["phase"],
            registry=self.registry,
            buckets=_SECONDS,
        )
        self.outbox = Gauge(
            "resetd_outbox_messages", "Messages that wait to be published.", registry=self.registry
        )
        self.outbox_age = Gauge(
            "resetd_outbox_age_seconds", "Age of the oldest message that waits.", registry=self.registry
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
        self.running = Gauge(
            "resetd_running_resets", "Resets that this process drives.", registry=self.registry
        )
        for state in ResetState:
            self.resets.labels(state.value)
        for outcome in OutcomeKind:
            self.steps.labels(outcome.value)

    def count_resets(self, by_state: Mapping[ResetState, int]) -> None:
        """Set the gauge; states that are not given have none."""
        for state in ResetState:
            self.resets.labels(state.value).set(by_state.get(state, 0))

    def count_steps(self, outcomes: Iterable[OutcomeKind]) -> None:
        """Count attempts that ended."""
        for outcome in outcomes:
            self.steps.labels(outcome.value).inc()

    def exposition(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)
