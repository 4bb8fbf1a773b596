"""The judge finds each thing that may go wrong, and nothing where all is well.

Over 300 lines: each rule of the judge, with one set of forged evidence.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.torture.judge.evidence import Acted, Asked, Dump, Evidence, Session
from tests.torture.judge.finding import RULES, Finding
from tests.torture.judge.judge import judge
from tests.unit.torture.cases import (
    BEGUN,
    CORE,
    ELSEWHERE,
    OTHER,
    RESET,
    SEED,
    STATES,
    WIPE,
    attempt,
    launch,
    plan,
    reset,
    rules,
    story,
    well,
    with_attempts,
)

WIPED, SEEDED = launch(1, f"{RESET}/{WIPE}/1", 5.0), launch(2, f"{RESET}/{SEED}/1", 6.5)


def test_nothing_is_found_where_all_is_well() -> None:
    verdict = judge(well())
    assert verdict.findings == []
    assert (verdict.launches, verdict.unknown, dict(verdict.states)) == (2, 0, {"done": 1})


def test_every_rule_has_its_line_in_the_table() -> None:
    assert Finding("gap", "").line == "status gaps"
    assert all(RULES.values())


# -- lost ---------------------------------------------------------------------------------------------------------
def test_a_published_request_that_no_reset_knows_of_is_lost() -> None:
    assert rules(replace(well(), asked=(Asked("another", "qa-sandbox"),))) == {"lost"}


def test_a_request_that_the_api_accepted_and_that_is_gone_is_lost() -> None:
    assert rules(replace(well(), asked=(Asked("a", "qa-sandbox", reset_id=OTHER),))) == {"lost"}


def test_an_event_that_led_to_two_resets_is_found() -> None:
    second = reset(OTHER, []) | {"requestedBy": [f"tag of {RESET}"]}
    evidence = replace(well(), resets={**well().resets, OTHER: second}, plans={RESET: plan()})
    evidence = replace(evidence, told=(*story(RESET, STATES), *story(OTHER, STATES, begin=20.0)))
    assert rules(evidence) == {"accepted-twice"}


def test_a_call_that_was_repeated_under_its_key_and_led_to_two_resets_is_found() -> None:
    twins = {name: reset(name, []) | {"request": {"idempotencyKey": "k"}} for name in (RESET, OTHER)}
    evidence = replace(well(), asked=(Asked("k", "qa-sandbox", reset_id=RESET),), resets=twins, launches=())
    evidence = replace(evidence, told=(*story(RESET, STATES), *story(OTHER, STATES, begin=20.0)))
    assert rules(evidence) == {"accepted-twice"}


def test_an_unreadable_record_without_a_dead_letter_is_lost() -> None:
    unreadable = replace(well(), asked=(Asked("x", "qa-sandbox", readable=False),))
    assert rules(unreadable) == {"lost"}
    assert rules(replace(unreadable, dead_letters=("x",))) == set()


def test_a_reset_that_never_comes_to_rest_is_lost() -> None:
    evidence = replace(well(), told=story(RESET, STATES[:-1]))
    evidence = replace(evidence, resets={RESET: reset(RESET, [], "releasing") | {"sequence": 9}}, launches=())
    assert rules(evidence) == {"lost"}


def test_what_did_not_settle_is_lost() -> None:
    assert rules(replace(well(), stuck=("a command runs",))) == {"lost"}


# -- launched twice -----------------------------------------------------------------------------------------------
def test_two_launches_of_one_attempt_are_found() -> None:
    again = launch(3, f"{RESET}/{SEED}/1", 7.6)
    assert rules(replace(well(), launches=(WIPED, SEEDED, again))) == {"same-attempt"}


def test_two_attempts_at_once_are_found() -> None:
    first = attempt(RESET, SEED, 1, kind="interrupted", exitCode=None)
    killed = launch(2, f"{RESET}/{SEED}/1", 6.5, killed=True, exit_code=None)
    other = launch(3, f"{RESET}/{SEED}/2", 7.0)
    evidence = with_attempts(
        attempt(RESET, WIPE), first, attempt(RESET, SEED, 2), launches=(WIPED, killed, other)
    )
    assert rules(evidence) == {"overlap"}


def test_an_orphan_of_an_attempt_counts_as_running() -> None:
    first = attempt(RESET, SEED, 1, kind="interrupted", exitCode=None)
    killed = launch(2, f"{RESET}/{SEED}/1", 6.5, killed=True, exit_code=None)
    orphan = launch(4, f"{RESET}/{SEED}/1", 6.6, depth=2, parent=2, ended=9.0)
    other = launch(3, f"{RESET}/{SEED}/2", 8.0)
    evidence = with_attempts(
        attempt(RESET, WIPE), first, attempt(RESET, SEED, 2), launches=(WIPED, killed, orphan, other)
    )
    assert rules(evidence) == {"overlap"}


def test_a_second_launch_of_what_may_never_run_again_is_found_unless_a_person_asked_for_it() -> None:
    first = attempt(RESET, WIPE, 1, kind="interrupted", exitCode=None)
    killed = launch(1, f"{RESET}/{WIPE}/1", 5.0, killed=True, exit_code=None, ended=5.2)
    again = launch(3, f"{RESET}/{WIPE}/2", 6.0, ended=6.2)
    evidence = with_attempts(
        first, attempt(RESET, WIPE, 2), attempt(RESET, SEED), launches=(killed, again, SEEDED)
    )
    assert rules(evidence) == {"forbidden-retry"}
    assert rules(replace(evidence, acted=(Acted(BEGUN + 5.5, RESET, "resume"),))) == set()
    assert rules(replace(evidence, acted=(Acted(BEGUN + 5.5, RESET, "cancel"),))) == {"forbidden-retry"}


def test_a_launch_after_a_success_is_found() -> None:
    again = launch(3, f"{RESET}/{SEED}/2", 7.6)
    evidence = with_attempts(
        attempt(RESET, WIPE), attempt(RESET, SEED), attempt(RESET, SEED, 2), launches=(WIPED, SEEDED, again)
    )
    assert rules(evidence) == {"again-after-success"}


def test_that_a_person_resumed_the_reset_is_no_leave_to_run_again_what_had_succeeded() -> None:
    again = launch(3, f"{RESET}/{SEED}/2", 9.0)
    evidence = with_attempts(
        attempt(RESET, WIPE), attempt(RESET, SEED), attempt(RESET, SEED, 2), launches=(WIPED, SEEDED, again)
    )
    resumed = (Acted(BEGUN + 8.5, RESET, "resume"),)
    assert rules(replace(evidence, acted=resumed)) == {"again-after-success"}
    assert rules(replace(evidence, acted=(Acted(BEGUN + 8.5, RESET, "resume", step=SEED),))) == set()


def test_what_is_void_in_another_container_may_run_again_there() -> None:
    scoped = plan()
    scoped["steps"][1]["scope"] = "container"
    again = launch(3, f"{RESET}/{SEED}/2", 7.6, container_id="c2")
    evidence = with_attempts(
        attempt(RESET, WIPE), attempt(RESET, SEED), attempt(RESET, SEED, 2), launches=(WIPED, SEEDED, again)
    )
    assert rules(evidence) == {"again-after-success"}
    assert rules(replace(evidence, plans={RESET: scoped})) == set()


def test_a_launch_that_was_not_recorded_is_found() -> None:
    assert rules(with_attempts(attempt(RESET, WIPE))) == {"unrecorded"}


def test_a_launch_for_a_reset_of_another_round_is_found() -> None:
    late = launch(3, f"{OTHER}/{SEED}/1", 9.0)
    assert rules(replace(well(), launches=(WIPED, SEEDED, late))) == {"late"}


def test_what_start_scripts_and_people_launch_is_nobodys_attempt() -> None:
    assert rules(replace(well(), launches=(WIPED, SEEDED, launch(3, None, 6.0)))) == set()


# -- places -------------------------------------------------------------------------------------------------------
def test_a_command_in_another_environment_than_was_asked_for_is_found_whatever_its_reset_says() -> None:
    next_door = replace(WIPED, namespace="beta-sandbox")
    assert rules(replace(well(), launches=(next_door, SEEDED))) == {"elsewhere"}
    said = {RESET: {**well().resets[RESET], "environment": "beta-sandbox"}}
    assert rules(replace(well(), launches=(next_door, SEEDED), resets=said)) == {"elsewhere"}


def test_a_process_that_a_command_starts_in_another_environment_is_found() -> None:
    nested = launch(3, f"{RESET}/{SEED}/1", 6.6, depth=2, parent=2, namespace="beta-sandbox")
    assert rules(replace(well(), launches=(WIPED, SEEDED, nested))) == {"elsewhere"}


# -- resources ----------------------------------------------------------------------------------------------------
def test_two_resets_at_work_on_one_resource_are_found() -> None:
    intruder = launch(3, f"{OTHER}/{SEED}/1", 8.0, namespace="beta-sandbox")
    evidence = replace(
        well(),
        resets={
            **well().resets,
            OTHER: reset(OTHER, [attempt(OTHER, SEED)]),
        },
        plans={RESET: plan(), OTHER: plan()},
        launches=(WIPED, SEEDED, intruder),
        told=(*story(RESET, STATES), *story(OTHER, STATES, begin=20.0)),
        dumps=(*well().dumps, Dump(OTHER, CORE, BEGUN + 5, "abc", proven=True, sha256_on_disk="abc")),
    )
    assert rules(evidence) == {"not-alone"}
    afterwards = launch(3, f"{OTHER}/{SEED}/1", 25.0, namespace="beta-sandbox")
    assert rules(replace(evidence, launches=(WIPED, SEEDED, afterwards))) == set()


def _cancelled(*, ended: float | None) -> Evidence:
    """A seed from second 6.5 to `ended` in a reset that is cancelled at second 8; another wipes from 13.2 on."""
    states = (*STATES[:6], "cancelling", "cancelled")
    seeding = launch(2, f"{RESET}/{SEED}/1", 6.5, exit_code=None, killed=ended is not None)
    seeding = replace(seeding, ended=ended, ended_at=None if ended is None else BEGUN + ended)
    mine = [attempt(RESET, WIPE), attempt(RESET, SEED, kind="interrupted", exitCode=None)]
    others = [attempt(OTHER, WIPE), attempt(OTHER, SEED)]
    return replace(
        well(),
        resets={
            RESET: reset(RESET, mine, "cancelled") | {"sequence": len(states)},
            OTHER: reset(OTHER, others),
        },
        plans={RESET: plan(), OTHER: plan()},
        launches=(
            WIPED,
            seeding,
            launch(3, f"{OTHER}/{WIPE}/1", 13.2),
            launch(4, f"{OTHER}/{SEED}/1", 14.5),
        ),
        acted=(Acted(BEGUN + 6.8, RESET, "cancel"),),
        told=(*story(RESET, states), *story(OTHER, STATES, begin=8.5)),
        dumps=(
            *well().dumps,
            Dump(OTHER, CORE, BEGUN + 12.6, "abc", proven=True, sha256_on_disk="abc"),
        ),
    )


@pytest.mark.parametrize("ended", [17.0, None], ids=["it ended", "it still runs"])
def test_a_command_that_outlives_the_locks_of_its_reset_into_those_of_another_is_found(
    ended: float | None,
) -> None:
    assert rules(_cancelled(ended=ended)) == {"outlived", "not-alone"}


def test_a_command_that_still_runs_when_its_reset_is_told_to_be_at_rest_is_found() -> None:
    assert rules(_cancelled(ended=10.0)) == {"outlived"}
    assert rules(_cancelled(ended=7.9)) == set()


def test_the_journal_may_hear_of_a_killed_commands_end_a_little_late() -> None:
    assert rules(_cancelled(ended=8.2)) == set()


def test_a_child_that_outlives_the_locks_of_its_reset_is_found() -> None:
    evidence = _cancelled(ended=7.9)
    orphan = launch(5, f"{RESET}/{SEED}/1", 6.6, depth=2, parent=2, ended=10.0, ended_at=BEGUN + 10.0)
    assert rules(replace(evidence, launches=(*evidence.launches, orphan))) == {"outlived"}


def test_a_command_in_a_database_that_is_not_in_the_plan_is_found() -> None:
    assert rules(replace(well(), sessions=(Session(2, ELSEWHERE),))) == {"wrong-database"}


def test_a_nested_process_in_a_wrong_database_is_found() -> None:
    nested = launch(3, f"{RESET}/{SEED}/1", 6.6, depth=2, parent=2)
    evidence = replace(well(), launches=(WIPED, SEEDED, nested), sessions=(Session(3, ELSEWHERE),))
    assert rules(evidence) == {"wrong-database"}


@pytest.mark.parametrize(
    "dumps",
    [
        (),
        (Dump(RESET, ELSEWHERE, BEGUN + 4, "abc", proven=True, sha256_on_disk="abc"),),
        (Dump(OTHER, CORE, BEGUN + 4, "abc", proven=True, sha256_on_disk="abc"),),
        (Dump(RESET, CORE, BEGUN + 6, "abc", proven=True, sha256_on_disk="abc"),),
        (Dump(RESET, CORE, BEGUN + 4, "abc", proven=False, sha256_on_disk="abc"),),
        (Dump(RESET, CORE, BEGUN + 4, "abc", proven=True, sha256_on_disk=None),),
        (Dump(RESET, CORE, BEGUN + 4, "abc", proven=True, sha256_on_disk="other"),),
    ],
    ids=["none", "another database", "another reset", "too late", "unproven", "no file", "another file"],
)
def test_destruction_without_a_proven_backup_of_before_is_found(dumps: tuple[Dump, ...]) -> None:
    assert rules(replace(well(), dumps=dumps)) == {"no-backup"}


def test_a_command_that_reached_a_database_needs_a_backup_of_it_whatever_the_plan_says_of_it() -> None:
    harmless = plan()
    for step in harmless["steps"]:
        step["destructive"] = False
    evidence = replace(well(), plans={RESET: harmless})
    assert rules(evidence) == set()
    assert rules(replace(evidence, dumps=())) == {"no-backup"}
    nested = launch(3, f"{RESET}/{SEED}/1", 6.6, depth=2, parent=2)
    inside = replace(evidence, launches=(WIPED, SEEDED, nested), sessions=(Session(3, CORE),))
    assert rules(replace(inside, dumps=())) == {"no-backup"}


# -- repositories -------------------------------------------------------------------------------------------------
def _rewound(**refs: str) -> set[str]:
    step = {"name": "git.qa-workflows", "state": "succeeded", "outcome": {"facts": {"already": False}}}
    told_refs = {f"refs/heads/{name.replace('_', '/')}": sha for name, sha in refs.items()}
    return rules(
        replace(
            well(),
            resets={RESET: reset(RESET, [attempt(RESET, WIPE), attempt(RESET, SEED)]) | {"steps": [step]}},
            refs={"qa-workflows": told_refs},
            roots={"qa-workflows": "root"},
            heads={"qa-workflows": ("old", "head")},
        )
    )


def test_a_repository_that_is_not_where_it_is_said_to_be_is_found() -> None:
    assert _rewound(main="root", **{f"backup_{RESET}": "head"}) == set()
    assert _rewound(main="elsewhere", **{f"backup_{RESET}": "head"}) == {"repository"}
    assert _rewound(main="root") == {"repository"}
    assert _rewound(main="root", **{f"backup_{RESET}": "never"}) == {"repository"}


def test_a_drive_that_crashed_is_found_also_where_the_next_one_went_well() -> None:
    assert rules(replace(well(), crashes=(f"the drive of {RESET}",) * 2)) == {"crashed"}
