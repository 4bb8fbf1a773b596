"""The fault in docs/extending.md: armed, hit as often as it was armed for, and counted when it hits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aiohttp import web

from sandbox.faults import Fault, FaultKind, Faults
from sandbox.faults.armoury import Armoury
from tests.unit.docs.extending.page import module

LIMIT = module("secondary-limit")
STAND_IN = FaultKind.GITHUB_5XX
"""The kind that the fault has here: a real one adds a word to the enum."""


@pytest.fixture
def faults(tmp_path: Path) -> Faults:
    return Faults(tmp_path)


def call(faults: Faults, environment: str | None = "qa-sandbox") -> web.Response | None:
    """A call of GitHub's stand-in, which any process of the platform may answer."""
    answer: web.Response | None = LIMIT.secondary_limit(Armoury(faults.directory), STAND_IN, environment)
    return answer


async def test_the_client_sees_what_github_says(faults: Faults) -> None:
    await faults.arm(Fault(STAND_IN, "qa-sandbox", seconds=5))
    answer = call(faults)
    assert answer is not None
    assert (answer.status, answer.headers["Retry-After"]) == (403, "5")
    assert "secondary rate limit" in json.loads(answer.text or "")["message"]


async def test_it_happens_and_counts_as_often_as_it_was_armed_for(faults: Faults) -> None:
    await faults.arm(Fault(STAND_IN, times=2))
    assert await faults.hits() == {}
    assert [call(faults) is not None for _ in range(3)] == [True, True, False]
    assert await faults.hits() == {STAND_IN: 2}
    assert faults.armed() == ()


async def test_other_environments_are_spared(faults: Faults) -> None:
    await faults.arm(Fault(STAND_IN, "qa-sandbox"))
    assert call(faults, "acme-sandbox") is None
    assert await faults.hits() == {}
    assert call(faults, None) is not None, "a call that names no environment may meet any fault"


async def test_clear_leaves_nothing_of_it(faults: Faults) -> None:
    await faults.arm(Fault(STAND_IN, times=9))
    assert call(faults) is not None
    await faults.clear()
    assert call(faults) is None
    assert await faults.hits() == {STAND_IN: 1}
