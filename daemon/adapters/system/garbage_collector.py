"""The garbage collector, set up for a process that runs for months and makes many short-lived objects."""

from __future__ import annotations

import gc

YOUNG = 2_000
"""New containers before the collector looks at them. At the default of 700 it does so several times in each commit that
resets share, and finds next to nothing, since almost all of them are gone by themselves; at 10,000 what it would find
adds up to more memory than that saves time."""


def settle() -> None:
    """Take what is there now out of the collector's sight: modules and adapters stay as long as the process does."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
