"""The judge's rules about stops: a dump and a used consent from before one count no more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.torture.judge.evidence import Acted, Dump, Evidence
from tests.unit.torture.cases import (
    BEGUN,
    CORE,
    RESET,
    SEED,
    WIPE,
    attempt,
    launch,
    plan,
    rules,
    story,
    well,
    with_attempts,
)

STOPPED = (
    *("planning", "awaiting-approval", "queued", "quiescing", "backing-up", "migrating-core", "failed"),
    *("queued", "awaiting-approval", "queued", "quiescing", "backing-up", "migrating-core"),
    *("seeding", "resetting-git", "verifying", "releasing", "done"),
)
"""One status a second, from the first one on: it stops at 7, is agreed to again at 9 and migrates core again at 13."""


def dump(at: float) -> Dump:
    return Dump(RESET, CORE, BEGUN + at, "abc", proven=True, sha256_on_disk="abc")


def approved(at: float, actor: str = "ben") -> Acted:
    return Acted(BEGUN + at, RESET, "approve", actor=actor)


RESUMED = Acted(BEGUN + 7.5, RESET, "resume")


def resumed(**more: Any) -> Evidence:  # noqa: ANN401 - any field of the evidence
    """A wipe that failed at second 6.5, and went on after a resume, an approval and a dump."""
    protected: dict[str, Any] = plan() | {"approvalsRequired": 1}
    failed = attempt(RESET, WIPE, kind="failed", exitCode=1)
    values: dict[str, Any] = {
        "plans": {RESET: protected},
        "launches": (
            launch(1, f"{RESET}/{WIPE}/1", 6.2, exit_code=1, ended=6.5, ended_at=BEGUN + 6.5),
            launch(2, f"{RESET}/{WIPE}/2", 13.2, ended=13.4, ended_at=BEGUN + 13.4),
            launch(3, f"{RESET}/{SEED}/1", 14.2, ended=14.4, ended_at=BEGUN + 14.4),
        ),
        "sessions": (),
        "told": story(RESET, STOPPED),
        "dumps": (dump(5.5), dump(12.5)),
        "acted": (approved(2.5), RESUMED, approved(9.5)),
    }
    attempts = (failed, attempt(RESET, WIPE, 2), attempt(RESET, SEED))
    evidence = with_attempts(*attempts, **values | more)
    resets = {RESET: {**evidence.resets[RESET], "sequence": len(STOPPED)}}
    return replace(evidence, resets=resets)


def test_a_reset_that_was_dumped_and_agreed_to_again_is_as_it_has_to_be() -> None:
    assert rules(resumed()) == set()


def test_d1_what_is_destroyed_after_a_stop_on_the_dump_from_before_is_found() -> None:
    assert rules(resumed(dumps=(dump(5.5),))) == {"old-dump"}


@pytest.mark.parametrize("again", [(), (approved(6.9),)])
def test_d1_what_is_destroyed_after_a_stop_on_the_consent_from_before_is_found(
    again: tuple[Acted, ...],
) -> None:
    assert rules(resumed(acted=(approved(2.5), RESUMED, *again))) == {"old-consent"}


def test_d3_one_person_who_approves_twice_is_one() -> None:
    protected = plan() | {"approvalsRequired": 2}
    evidence = replace(well(), plans={RESET: protected}, acted=(approved(1.5), approved(1.6)))
    assert rules(evidence) == {"no-consent"}
    assert rules(replace(evidence, acted=(approved(1.5), approved(1.6, "cleo")))) == set()


def test_d1_a_dump_whose_file_is_older_than_the_stop_is_old_whatever_is_recorded_of_it() -> None:
    old = replace(dump(12.5), written_at=BEGUN + 5.6)
    assert rules(resumed(dumps=(dump(5.5), old))) == {"old-dump"}
    assert rules(resumed(dumps=(dump(5.5), replace(old, written_at=BEGUN + 12.6)))) == set()
