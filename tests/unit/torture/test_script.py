"""What happens in a round is a matter of its seed, and over many rounds nothing is left out."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from pathlib import Path

from sandbox.faults import FaultKind
from sandbox.faults.kinds import GITHUB, STATE
from schemas.requests import Mode
from tests.torture.figures import Figures, read
from tests.torture.judge import state_order
from tests.torture.judge.finding import Finding
from tests.torture.judge.judge import Verdict
from tests.torture.script.faults import FAULTS
from tests.torture.script.generator import block_of, write
from tests.torture.script.script import Arm, Ask, Block, Do, Kill, State, Stop, When

ENVIRONMENTS = ("qa-sandbox", "acme-sandbox", "beta-sandbox")
TWO = Block(State.POSTGRESQL, 2)


def test_a_seed_and_a_round_give_the_same_script_whichever_rounds_were_played_before() -> None:
    kinds = tuple(FaultKind)
    first = [write("s", number, ENVIRONMENTS, TWO, kinds) for number in range(40)]
    assert first[17] == write("s", 17, ENVIRONMENTS, TWO, tuple(reversed(kinds)))
    assert len({script.events for script in first}) == len(first)
    assert write("t", 17, ENVIRONMENTS, TWO, kinds) != first[17]


def test_every_kind_of_fault_comes_equally_often() -> None:
    kinds = tuple(FaultKind)
    rounds = 10 * len(kinds) // FAULTS
    events = chain.from_iterable(write("s", one, ENVIRONMENTS, TWO, kinds).events for one in range(rounds))
    armed = Counter(one.fault.kind for one in events if isinstance(one, Arm))
    assert armed == dict.fromkeys(kinds, 10)


def test_requests_come_to_what_the_faults_of_their_round_are_meant_for() -> None:
    for number in range(200):
        script = write("s", number, ENVIRONMENTS, TWO, tuple(FaultKind))
        for fault in script.faults:
            there = [one for one in script.asks if one.readable and one.environment == fault.environment]
            assert there
            assert not any(one.dry_run for one in there)
            assert fault.service is None or any(fault.service in one.services for one in there)
            if fault.kind in GITHUB:
                assert all(one.git for one in there)
            if fault.kind is FaultKind.KAFKA_DUPLICATE_DELIVERY:
                assert not any(one.http for one in there)
            if fault.kind is FaultKind.POSTGRES_LOCK_HELD:
                assert all(one.mode is not Mode.SEED and {*one.services} - {"workflow-api"} for one in there)
            assert [one.environment for one in script.more].count(fault.environment or "") == 2


def test_state_in_a_file_has_no_server_that_faults_could_hit() -> None:
    scripts = [write("s", one, ENVIRONMENTS, Block(State.SQLITE, 1), tuple(FaultKind)) for one in range(60)]
    kinds = {fault.kind for script in scripts for fault in script.faults}
    assert kinds == set(FaultKind) - STATE


def test_a_launch_that_is_to_begin_late_is_cancelled_on_its_way_in_some_rounds_and_not_in_others() -> None:
    late = [write("s", one, ENVIRONMENTS, TWO, [FaultKind.EXEC_BEGINS_LATE]) for one in range(20)]
    cancelled = [any(isinstance(one, Do) and one.when is When.LATE for one in it.events) for it in late]
    assert any(cancelled)
    assert not all(cancelled)


def test_a_hundred_rounds_hold_everything_that_a_round_may_hold() -> None:
    events = list(chain.from_iterable(write("s", one, ENVIRONMENTS, TWO).events for one in range(100)))
    asks = [one for one in events if isinstance(one, Ask)]
    assert {one.environment for one in asks} == set(ENVIRONMENTS)
    assert any(one.copies > 1 for one in asks)
    assert any(one.http for one in asks)
    assert not all(one.readable for one in asks)
    assert len([one for one in events if isinstance(one, Kill)]) >= 100
    mishaps = {one.mishap.split(":")[0] for one in events if isinstance(one, Kill) and one.mishap}
    assert mishaps == {"kill", "stop"}
    assert any(isinstance(one, Stop) for one in events)
    assert any(isinstance(one, Do) and one.when is When.ASLEEP for one in events)


def test_blocks_are_of_every_kind() -> None:
    kinds = {block_of("s", number) for number in range(0, 200, 10)}
    assert {(one.state, one.replicas) for one in kinds} == {
        (State.SQLITE, 1),
        (State.POSTGRESQL, 1),
        (State.POSTGRESQL, 2),
    }
    assert block_of("s", 20) == block_of("s", 29)


def test_a_reset_never_leaves_what_is_over_and_always_passes_every_working_state() -> None:
    for state in state_order.OVER:
        assert not any(
            state_order.may_follow(state, then) for then in (*state_order.WORKING, "planning", "queued")
        )
    ordered = ("planning", "queued", *state_order.WORKING, "done")
    assert state_order.impossible(ordered) is None
    for number in range(1, len(ordered)):
        assert (
            state_order.impossible((*ordered[:number], *ordered[number + 1 :])) is not None
            or number == len(ordered) - 1
        )


def test_pieces_add_up(tmp_path: Path) -> None:
    one, other = Figures(kills=2), Figures(kills=3)
    one.take("s:1", Verdict(findings=[Finding("gap", "")], states=Counter(done=2), launches=4))
    other.take("s:2", Verdict(states=Counter(done=1, failed=1)))
    one.add(other)
    assert (one.rounds, one.kills, one.launches, one.resets["done"], one.failed) == (2, 5, 4, 3, ["s:1"])
    assert not one.well
    assert other.well
    one.append_to(tmp_path / "pieces")
    other.append_to(tmp_path / "pieces")
    assert read([tmp_path / "pieces"]).kills == 5 + 3
