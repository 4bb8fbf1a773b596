"""Batches of histories on all processors."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context

from tests.simulation.machine import Simulation
from tests.simulation.running import simulate

BATCH = 250
"""Histories from one seed: Hypothesis slows down where it has to remember more of them."""


@dataclass(frozen=True)
class Batch:
    """What one batch covered, and what went wrong in it."""

    seed: int
    counts: Counter[str]
    seconds: float
    """Of a processor."""
    error: str | None = None


def _play(seed: int, histories: int) -> Batch:
    """Run a batch; one history that went wrong is told at once, and then made small."""
    began, error = time.process_time(), None
    try:
        counts = simulate(Simulation, histories, start=seed, shrink=False)
    except AssertionError as failed:
        counts = Simulation.counts
        sys.stderr.write(f"seed {seed}: {failed}\nit is being made small\n")
        error = _small(seed, histories) or str(failed)
    return Batch(seed, counts, time.process_time() - began, error)


def _small(seed: int, histories: int) -> str | None:
    try:
        simulate(Simulation, histories, start=seed, shrink=True)
    except AssertionError as failed:
        return "\n\n".join((str(failed), "\n".join(getattr(failed, "__notes__", ()))))
    return None


def batches(histories: int, start: int) -> Iterator[Batch]:
    """The batches as they are over; the first one that went wrong is the last."""
    sizes = [min(BATCH, histories - begun) for begun in range(0, histories, BATCH)]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=get_context("spawn")) as pool:
        playing = [pool.submit(_play, start + number, size) for number, size in enumerate(sizes)]
        for played in as_completed(playing):
            batch = played.result()
            yield batch
            if batch.error is not None:
                pool.shutdown(cancel_futures=True)
                return
