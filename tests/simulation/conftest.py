"""Histories of single tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.simulation.history import History

Begin = Callable[[], History]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Begins a history in which nothing happens by chance but the order of turns."""
    histories: list[History] = []

    def make() -> History:
        history = History(1)
        history.platform.calm = True
        histories.append(history)
        return history

    yield make
    for history in histories:
        history.close()
