"""The garbage collector of a daemon."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from daemon.adapters.system import garbage_collector


@pytest.fixture
def _as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


@pytest.mark.usefixtures("_as_before")
def test_what_is_there_at_the_start_is_not_looked_at_again() -> None:
    there: list[object] = [[]]
    garbage_collector.configure()
    assert gc.get_freeze_count() > 0
    assert not any(each is there for each in gc.get_objects())
