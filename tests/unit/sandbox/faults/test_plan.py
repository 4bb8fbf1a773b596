"""A plan of faults from a seed, and the files that hold what is armed."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.faults import Fault, FaultKind, plan
from sandbox.faults.armoury import Armoury

KINDS = st.sets(st.sampled_from(FaultKind), min_size=1)
NAMES = st.lists(st.sampled_from(["a-sandbox", "b-sandbox"]), unique=True)


@given(st.integers(), st.integers(0, 200), KINDS, NAMES, NAMES)
def test_a_seed_always_gives_the_same_faults_and_every_kind_equally_often(
    seed: int, rounds: int, kinds: set[FaultKind], environments: list[str], services: list[str]
) -> None:
    faults = plan(seed, rounds, kinds, environments, services)
    assert faults == plan(seed, rounds, sorted(kinds, reverse=True), environments, services)
    counts = Counter(fault.kind for fault in faults)
    assert len(faults) == rounds
    assert all(rounds // len(kinds) <= counts[kind] <= -(-rounds // len(kinds)) for kind in kinds)
    assert {fault.environment for fault in faults} <= {None, *environments}
    assert all(fault.environment or not fault.service for fault in faults)


def test_other_seeds_give_other_faults() -> None:
    assert plan(1, 50, FaultKind, ["a"], ["s"]) != plan(2, 50, FaultKind, ["a"], ["s"])


def test_a_plan_needs_kinds() -> None:
    with pytest.raises(ValueError, match="kinds"):
        plan(1, 5, [], [], [])


@pytest.mark.parametrize("wrong", [{"times": 0}, {"seconds": -1.0}])
def test_a_fault_that_could_never_hit_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="times"):
        Fault(FaultKind.EXEC_500, **wrong)  # type: ignore[arg-type]


def test_many_who_ask_at_once_get_each_hit_once(tmp_path: Path) -> None:
    armoury = Armoury(tmp_path)
    armoury.arm(Fault(FaultKind.EXEC_500, times=20))
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: Armoury(tmp_path).take([FaultKind.EXEC_500], "a-sandbox"), range(100)))
    assert len([one for one in got if one is not None]) == 20
    assert armoury.hits() == {FaultKind.EXEC_500: 20}
    assert armoury.armed(FaultKind) == []


def test_the_oldest_fault_that_is_meant_for_a_place_is_taken_first(tmp_path: Path) -> None:
    armoury = Armoury(tmp_path)
    for environment, seconds in (("b-sandbox", 1), ("a-sandbox", 2), (None, 3)):
        armoury.arm(Fault(FaultKind.EXEC_DELAYED, environment, seconds=seconds))
    taken = [armoury.take([FaultKind.EXEC_DELAYED], "a-sandbox", "workflow-api") for _ in range(3)]
    assert [fault and fault.seconds for fault in taken] == [2, 3, None]


def test_what_was_cleared_hits_no_more_and_what_has_hit_stays_counted(tmp_path: Path) -> None:
    armoury = Armoury(tmp_path)
    armed = armoury.arm(Fault(FaultKind.EVICTED, times=3))
    assert armoury.hit(armed)
    armoury.clear()
    assert not armoury.hit(armed)
    assert armoury.hits() == {FaultKind.EVICTED: 1}


def test_clearing_asks_what_lasts_to_end(tmp_path: Path) -> None:
    armoury = Armoury(tmp_path)
    armed = armoury.arm(Fault(FaultKind.KAFKA_DOWN))
    with armoury.lasting(armed, "the broker") as is_to_end:
        assert not is_to_end()
        assert list(armoury.effects().values()) == ["the broker"]
        armoury.clear()
        assert is_to_end()
    assert armoury.effects() == {}
