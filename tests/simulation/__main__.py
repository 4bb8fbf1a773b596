"""`python -m tests.simulation HISTORIES [SEED]`: a long run in batches of a few hundred, with what it covered."""

from __future__ import annotations

import sys
import time
from collections import Counter

from tests.simulation.machine import Simulation
from tests.simulation.running import STEPS, simulate

BATCH = 250
"""Histories from one seed: Hypothesis slows down where it has to remember more of them."""


def main(histories: int, start: int) -> int:
    """Run them all; the exit code."""
    began, total, number = time.process_time(), Counter[str](), start
    code = 0
    while total["histories"] < histories and not code:
        try:
            simulate(Simulation, min(BATCH, histories - total["histories"]), start=number, shrink=True)
        except AssertionError as error:
            notes = "\n".join(getattr(error, "__notes__", ()))
            print(
                f"{error}\n\n{notes}\n\nseed {number}: `make simulate HISTORIES={BATCH} SEED={number}` repeats it"
            )
            code = 1
        total += Simulation.counts
        number += 1
        took = time.process_time() - began
        print(f"{total['histories']} histories, {took:.0f} s of a processor", file=sys.stderr, flush=True)
    print(
        f"{total['histories']} histories of {STEPS} rules, {total['histories'] / took:.1f} a second of one processor"
    )
    for name, count in sorted(total.items()):
        print(f"{count:>12}  {name}")
    return code


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
