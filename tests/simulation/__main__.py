"""`python -m tests.simulation HISTORIES [SEED]`: a long run on all processors, with what it covered."""

from __future__ import annotations

import sys
from collections import Counter

from tests.simulation.batches import BATCH, batches
from tests.simulation.running import STEPS


def main(histories: int, start: int) -> int:
    """Run them all; the exit code."""
    total, seconds, code = Counter[str](), 0.0, 0
    for batch in batches(histories, start):
        total += batch.counts
        seconds += batch.seconds
        told = f"{total['histories']} histories, {seconds:.0f} s of processors"
        print(told, file=sys.stderr, flush=True)
        if batch.error is not None:
            again = f"make simulate HISTORIES={BATCH} SEED={batch.seed}"
            print(f"{batch.error}\n\nseed {batch.seed}: `{again}` repeats it")
            code = 1
    each = total["histories"] / seconds
    print(f"{total['histories']} histories of {STEPS} rules, {each:.1f} a second of one processor")
    for name, count in sorted(total.items()):
        print(f"{count:>12}  {name}")
    return code


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
