"""What a tool prints decides how it is judged, never how long the judging takes."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from pydantic import TypeAdapter

from schemas.checks import Ledger, MigrationsCheck, MigrationsEntry
from schemas.patterns import Pattern, PatternError
from schemas.reasons import Reason
from schemas.requests import Mode
from schemas.resets import OutcomeKind
from statemachines.steps.database_checks import carried
from statemachines.steps.exit_codes import outcome_of_command
from statemachines.steps.known_failures import known_failure, printed_usage
from tests.unit.statemachines.planner.world import CATALOG, planned, request

SEED = next(
    step for step in planned(request(mode=Mode.REFRESH)).steps if step.name == "seed.los-core-api.system"
)
HOSTILE = [
    "... ",
    " ",
    "... [a] ",
    "[",
    "1:",
    "Aa.",
    "Error: ",
    "a:1",
    "   at (",
    '"level": ',
    "error",
    "\x1b[",
    "… 1",
]
MIB = 1024 * 1024


def seconds(work: Callable[[], object]) -> float:
    """Processor time of the quickest of three."""
    taken = []
    for _ in range(3):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return min(taken)


@pytest.mark.parametrize("unit", HOSTILE)
def test_h4_a_line_of_a_seed_is_judged_in_a_time_that_grows_with_its_length_alone(unit: str) -> None:
    def judged(length: int) -> float:
        line = "..." + unit * (length // len(unit)) + "x"
        return seconds(lambda: outcome_of_command(SEED, 0, "more", line))

    # Of four times the length backtracking takes at least sixteen times as long.
    assert judged(MIB) < 10 * judged(MIB // 4) + 0.05


def test_h4_the_line_that_stopped_the_daemon_is_judged() -> None:
    line = f"...{' ' * 20_000}x"
    assert outcome_of_command(SEED, 0, line, line).kind is OutcomeKind.SUCCEEDED
    line = f"...{' ' * 20_000}Error: boom"
    assert outcome_of_command(SEED, 0, "more", line).kind is OutcomeKind.FAILED


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*)*x$", "a*a*a*a*a*b"])
def test_h4_a_pattern_of_an_operator_takes_no_longer_either(pattern: str) -> None:
    step = SEED.model_copy(update={"fail_on": pattern, "pass_on": "b$"})
    line = "a" * MIB + "!"
    assert outcome_of_command(step, 0, line, line).cause is Reason.CHECK_FAILED
    assert outcome_of_command(step, 1, line).kind is OutcomeKind.FAILED


def test_h4_millions_of_lines_take_no_longer_than_one_as_long() -> None:
    lines = seconds(lambda: outcome_of_command(SEED, 0, "more", "x\n" * (MIB // 2)))
    line = seconds(lambda: outcome_of_command(SEED, 0, "more", "x " * (MIB // 2)))
    assert lines < 10 * line + 0.05


@pytest.mark.parametrize("output", ["a\nError: b\nc", "a\r\nError: b\r\n", "10%\rError: b\r100%", "Error: b"])
def test_each_line_is_searched_alone_whatever_ends_it(output: str) -> None:
    assert Pattern.of("^Error: [^a]*$").first_line(output) == "Error: b"
    assert Pattern.of(r"b\s+c").first_line(output) is None


def test_no_output_has_no_line() -> None:
    assert Pattern.of("^$").first_line("") is None
    assert Pattern.of("^$").first_line("a\n") is None
    assert Pattern.of("^$").first_line("a\n\nb") == ""


def test_a_line_that_is_no_text_is_searched_all_the_same() -> None:
    assert Pattern.of("Error").first_line("\ud800 Error") is not None


def test_a_line_that_means_failure_is_shown_in_part_where_it_is_long() -> None:
    outcome = outcome_of_command(SEED, 0, "more", f"Error: {'y' * MIB}")
    assert len(outcome.detail or "") < 3_000


@pytest.mark.parametrize("text", ["(?!0 )errors", "(?<=a)b", r"(a)\1", "[", "a{3000}"])
def test_a_pattern_that_backtracks_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="no regular expression that resetd takes"):
        TypeAdapter(MigrationsEntry).validate_python(
            {"directory": "migrations", "ledger": {"table": ["done"], "column": "name", "pattern": text}}
        )
    with pytest.raises(PatternError):
        Pattern(text)
    entry = CATALOG.service("los-core-api")
    assert entry is not None
    raw = entry.doctor[0].model_dump()
    with pytest.raises(ValueError, match="no regular expression that resetd takes"):
        type(entry.doctor[0]).model_validate({**raw, "fail_on": text})


def test_a_plan_from_before_with_a_pattern_that_backtracks_is_answered_with_can_not_tell() -> None:
    step = SEED.model_copy(update={"fail_on": "(?!0 )errors"})
    outcome = outcome_of_command(step, 0, "fine", "fine")
    assert (outcome.kind, outcome.cause) == (OutcomeKind.FAILED, Reason.CHECK_FAILED)
    ledger = Ledger(table=("done",), column="name", pattern="(?!0 )[0-9]+")
    assert carried(MigrationsCheck(directory="migrations", ledger=ledger), ["1"]) == ()


@pytest.mark.parametrize(
    "unit", ["\n", " \n", "error ", "error: ", "error code ", "code: A", "P1", " Usage:"]
)
def test_h4_the_meaning_of_a_failure_is_found_in_a_time_that_grows_with_the_output_alone(unit: str) -> None:
    def told(length: int) -> float:
        output = unit * (length // len(unit))
        return seconds(lambda: (known_failure(SEED.failures, output), printed_usage(output)))

    assert told(MIB // 4) < 10 * told(MIB // 16) + 0.05
