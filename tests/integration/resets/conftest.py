"""The stage on which commands of the guide are typed by hand, and resets do the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.platform.platform import Platform
from tests.integration.by_hand.stage import Stage, standing


@pytest.fixture(scope="module")
def stage(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One stage for a whole file of tests."""
    with standing(platform, tmp_path_factory.mktemp("stage")) as stage:
        yield stage
