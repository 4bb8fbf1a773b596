"""Runs of the simulation: so many histories from a seed, on one processor."""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.simulation.machine import Simulation

STEPS = 40
"""Rules in one history."""


def simulate(machine: type[Simulation], histories: int, *, start: int, shrink: bool) -> Counter[str]:
    """Run histories; what took place in them, by name.

    Hypothesis is told to forget, but what it draws also follows from the modules that are imported already: each run in
    a process of its own (`batches`) makes the same histories. With `shrink` a failing one is made small.

    Raises:
        AssertionError: one of them went wrong; its notes are the history as Python code.
    """
    machine.counts = Counter()
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    chosen = settings(
        max_examples=histories,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        report_multiple_bugs=False,
        verbosity=Verbosity.normal,
    )
    run_state_machine_as_test(seed(start)(machine), settings=chosen)
    return machine.counts
