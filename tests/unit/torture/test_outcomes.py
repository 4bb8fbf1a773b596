"""The judge finds each outcome that the journal contradicts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sandbox.journal import Launch
from tests.torture.judge.evidence import Acted, Doubt, Evidence
from tests.torture.judge.judge import judge
from tests.unit.torture.cases import (
    BEGUN,
    CONTAINER,
    RESET,
    SEED,
    WIPE,
    attempt,
    launch,
    moment,
    rules,
    well,
    with_attempts,
)

WIPED, SEEDED = launch(1, f"{RESET}/{WIPE}/1", 5.0), launch(2, f"{RESET}/{SEED}/1", 6.5)


@pytest.mark.parametrize(
    ("outcome", "seen"),
    [
        ({"kind": "succeeded"}, {"exit_code": 1}),
        ({"kind": "succeeded"}, {"exit_code": None, "killed": True}),
        ({"kind": "failed", "exitCode": 3}, {"exit_code": 4}),
        ({"kind": "failed", "exitCode": 3}, {"exit_code": None, "killed": True}),
        ({"kind": "failed", "exitCode": None, "facts": {"launched": False}}, {"exit_code": 0}),
        ({"kind": "interrupted", "exitCode": None}, {"exit_code": 0}),
    ],
    ids=["failed", "killed", "another code", "was killed", "was launched", "was not interrupted"],
)
def test_an_outcome_that_the_journal_contradicts_is_found(
    outcome: dict[str, object], seen: dict[str, object]
) -> None:
    evidence = with_attempts(
        attempt(RESET, WIPE),
        attempt(RESET, SEED, 1, **outcome),
        launches=(WIPED, launch(2, f"{RESET}/{SEED}/1", 6.5, **seen)),
    )
    assert rules(evidence) == {"false-claim"}


def test_a_true_outcome_that_was_told_before_the_command_had_ended_is_found() -> None:
    guessed = attempt(RESET, SEED) | {"finishedAt": moment(7.4)}
    assert rules(with_attempts(attempt(RESET, WIPE), guessed)) == {"false-claim"}
    assert rules(with_attempts(attempt(RESET, WIPE), guessed | {"finishedAt": moment(7.6)})) == set()


def test_success_without_a_launch_is_found() -> None:
    assert rules(replace(well(), launches=(WIPED,))) == {"false-claim"}


def test_what_a_cancel_stopped_at_its_very_end_may_be_called_interrupted() -> None:
    evidence = with_attempts(attempt(RESET, WIPE), attempt(RESET, SEED, 1, kind="interrupted", exitCode=None))
    assert rules(evidence) == {"false-claim"}
    assert rules(replace(evidence, acted=(Acted(BEGUN + 6, RESET, "cancel"),))) == set()
    assert rules(replace(evidence, containers=frozenset())) == set()


@pytest.mark.parametrize("launches", [(WIPED,), (WIPED, SEEDED)], ids=["nobody saw it start", "it was seen"])
def test_unknown_is_true_where_all_trace_of_its_container_is_gone(launches: tuple[Launch, ...]) -> None:
    gone = judge(unknown(launches=launches, containers=frozenset({"containerd://c2"})))
    assert (gone.findings, gone.unknown, gone.unknown_but_known) == ([], 1, 0)


@pytest.mark.parametrize("where", ["containers", "ended"])
def test_unknown_is_found_where_its_container_runs_or_its_pod_tells_how_it_ended(where: str) -> None:
    nowhere: dict[str, Any] = {"containers": frozenset(), "ended": frozenset()}
    verdict = judge(unknown(**nowhere | {where: frozenset({CONTAINER})}))
    assert [one.rule for one in verdict.findings] == ["known-after-all"]
    assert (verdict.unknown, verdict.unknown_but_known) == (1, 1)


def test_unknown_is_found_where_nothing_was_launched_in_a_pod() -> None:
    nowhere = attempt(RESET, SEED, 1, kind="unknown", exitCode=None) | {"control": None}
    assert rules(with_attempts(attempt(RESET, WIPE), nowhere)) == {"known-after-all"}


@pytest.mark.parametrize("container", ["running", "terminated", "gone", "none"])
def test_unknown_is_judged_by_what_there_was_before_a_person_said_what_happened(container: str) -> None:
    resolved = attempt(RESET, SEED, 1, kind="interrupted", exitCode=None)
    doubt = Doubt(f"{RESET}/{SEED}/1", container)
    evidence = with_attempts(attempt(RESET, WIPE), resolved, launches=(WIPED,), doubts=(doubt,))
    verdict = judge(evidence)
    found = [] if container == "gone" else ["known-after-all"]
    assert [one.rule for one in verdict.findings] == found
    assert (verdict.unknown, verdict.unknown_but_known) == (1, len(found))


@pytest.mark.parametrize("where", ["containers", "ended", "gone"])
def test_unknown_that_was_told_and_replaced_before_anybody_looked_is_judged_by_its_container(
    where: str,
) -> None:
    resolved = attempt(RESET, SEED, 1, kind="failed", exitCode=None, facts={"resolvedBy": "olga"})
    nowhere: dict[str, Any] = {"containers": frozenset(), "ended": frozenset()}
    evidence = with_attempts(attempt(RESET, WIPE), resolved)
    evidence = replace(evidence, **nowhere | ({where: frozenset({CONTAINER})} if where in nowhere else {}))
    last = evidence.told[-1]
    data = {**last.data, "step": SEED, "attempt": 1, "outcome": "unknown"}
    finished = replace(last, type="com.fuse.environment.reset.step-finished.v1", data=data)
    verdict = judge(replace(evidence, told=(*evidence.told[:-1], finished)))
    found = [one.rule for one in verdict.findings if one.rule == "known-after-all"]
    assert (verdict.unknown, len(found)) == (1, int(where in nowhere))
    looked = replace(evidence, told=(*evidence.told[:-1], finished), doubts=(Doubt(resolved["id"], "gone"),))
    assert judge(looked).unknown_but_known == 0


def unknown(**more: Any) -> Evidence:  # noqa: ANN401 - any field of the evidence
    """The outcome of the seed is called unknown."""
    return with_attempts(attempt(RESET, WIPE), attempt(RESET, SEED, 1, kind="unknown", exitCode=None), **more)


def test_an_attempt_without_an_outcome_in_a_reset_at_rest_is_found() -> None:
    left = attempt(RESET, SEED) | {"outcome": None}
    assert rules(with_attempts(attempt(RESET, WIPE), left)) == {"open-attempt"}


def test_what_had_ended_before_anybody_asked_for_a_cancel_was_not_interrupted_by_it() -> None:
    stopped = attempt(RESET, SEED, 1, kind="interrupted", exitCode=None)
    evidence = with_attempts(attempt(RESET, WIPE), stopped, launches=(WIPED, SEEDED))
    assert rules(replace(evidence, acted=(Acted(BEGUN + 7.0, RESET, "cancel"),))) == set()
    assert rules(replace(evidence, acted=(Acted(BEGUN + 9.0, RESET, "cancel"),))) == {"false-claim"}
