"""Hundreds of histories, the same in each run; `make simulate` runs as many others as one likes."""

from __future__ import annotations

import pytest

from tests.simulation.batches import batches

HISTORIES = 40
"""For each of two seeds."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("start", [3, 4])
def test_whatever_happens_in_whatever_order_nothing_is_lost_and_nothing_runs_twice(start: int) -> None:
    [batch] = batches(HISTORIES, start)
    assert batch.error is None, batch.error
    counts = batch.counts
    assert counts["histories"] >= HISTORIES
    assert counts["crashes"] > 10
    assert counts["commands"] > 5 * HISTORIES
    assert counts["ended: done"] > HISTORIES
    assert sum(number for name, number in counts.items() if name.startswith("fault: ")) > 100
