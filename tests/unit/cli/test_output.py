"""What a person reads before they decide."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from daemon.cli import output
from daemon.cli.client import Json
from daemon.cli.next_step import next_step
from daemon.cli.output import Format, listed
from daemon.cli.plan_output import show_plan
from daemon.cli.reset_output import show_reset, step_table
from schemas.repositories import Beside, PullRequest
from schemas.requests import Mode
from tests.unit.statemachines.planner.world import planned, request
from tests.unit.statemachines.rules.test_repositories import changed
from tests.unit.statemachines.words.test_words import knowing, made, remembered, word


def reset(state: str, **fields: object) -> Json:
    return {
        "reference": "qa-sandbox/12",
        "state": state,
        "cause": None,
        "destroyed": True,
        "steps": (),
    } | fields


def test_each_destructive_step_of_a_plan_is_called_so_also_where_a_shell_runs_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = planned(request(mode=Mode.WIPE))
    show_plan(plan.model_dump(mode="json", by_alias=True))
    lines = capsys.readouterr().out.splitlines()
    for step in plan.steps:
        (line,) = [printed for printed in lines if f"  {step.name}  " in printed]
        assert ("(destructive)" in line) is step.destructive


def test_a_plan_shows_what_stands_beside_a_repository_that_it_rewinds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pulls = tuple(
        PullRequest(number=number, title="Closing", head="closing", base="main") for number in (7, 12)
    )
    beside = Beside(pull_requests=pulls, more_pull_requests=31, unread=("tags",))
    show_plan(planned(known=changed(beside=beside)).model_dump(mode="json", by_alias=True))
    told = capsys.readouterr()
    (line,) = [line for line in told.out.splitlines() if "Initial commit" in line]
    assert line.split() == ["qa-workflows", "main", "a" * 12, "b" * 12, "Initial", "commit", "33", "0", "?"]
    assert "7 (Closing, from closing to main), 12 (Closing, from closing to main), and 31 more" in told.err


def test_c3_a_plan_shows_which_databases_a_word_without_a_list_is_taken_to_mean(
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = knowing(word(uses=None), memory=(remembered(),))
    show_plan(made(known).model_dump(mode="json", by_alias=True))
    assert f"as remembered: los-core-api core {remembered().key}" in capsys.readouterr().out


def test_what_an_attempt_before_came_to_is_not_said_of_the_one_that_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    step = {
        "name": "seed",
        "attempts": 2,
        "outcome": {"kind": "failed", "cause": "command-failed", "exitCode": 1},
    }
    ended = {"step": "seed", "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:02Z"}
    for state, said in (("running", False), ("failed", True), ("pending", True)):
        step_table({"steps": [step | {"state": state}], "attempts": [ended]})
        shown = capsys.readouterr().out
        assert ("command-failed" in shown, "2.0s" in shown) == (said, said)


def test_the_next_step_is_one_that_is_taken_there() -> None:
    unknown = {"name": "seed", "state": "unknown"}
    assert "resolve qa-sandbox/12 seed" in (
        next_step(reset("needs-operator", stoppedAt="seed", steps=[unknown])) or ""
    )
    lost = reset("needs-operator", stoppedAt=None, cause="state-restored")
    assert "resume qa-sandbox/12 --force" in (next_step(lost) or "")
    assert "resume qa-sandbox/12" in (next_step(reset("cancelled")) or "")
    assert next_step(reset("cancelled", destroyed=False)) is None


FOREIGN = f"{'a' * 240}-production"
"""The longest name that an event may give."""


@pytest.mark.parametrize("terminal", [False, True])
def test_h5_a_name_of_253_letters_leaves_a_table_readable_and_the_json_whole(
    terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[Json] = [
        {"name": "qa-sandbox", "why": "there is no namespace qa-sandbox"},
        {"name": FOREIGN, "why": f"there is no namespace {FOREIGN}"},
    ]
    columns = [("ENVIRONMENT", lambda row: row["name"]), ("WHY", lambda row: row["why"])]
    if terminal:
        monkeypatch.setattr(
            output, "out", Console(force_terminal=True, color_system=None, width=80, file=StringIO())
        )

    def shown(chosen: Format) -> str:
        listed(rows, chosen, name=lambda row: row["name"], columns=columns, empty="none")
        written = output.out.file.getvalue() if isinstance(output.out.file, StringIO) else ""
        return capsys.readouterr().out + written

    assert FOREIGN in shown(Format.JSON)
    lines = shown(Format.TABLE).splitlines()[-5:]
    assert max(len(line) for line in lines) < 100
    assert sum("aaaa" in line for line in lines) <= 2
    assert any("\N{HORIZONTAL ELLIPSIS}" in line and "production" in line for line in lines)


def test_names_that_can_be_environments_and_keys_that_people_copy_stay_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    keys = [f"{'e' * 63}/12", f"sha256:{'0' * 64}", f"database/{'7' * 19}/{'d' * 63}"]
    output.table(["KEY"], [[key] for key in keys])
    assert capsys.readouterr().out.split() == ["KEY", *keys]


def test_d4_who_has_accepted_while_another_person_has_to_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    facts = {"accepts": {"learned.core": {"required": 2, "by": ["ben"], "stop": 1}}}
    outcome = {"kind": "failed", "cause": "tables-empty", "exitCode": 0, "facts": facts}
    step = {"name": "seed", "attempts": 1, "outcome": outcome, "state": "failed"}
    shown = {
        "id": "1",
        "request": {"mode": "wipe"},
        "requestedBy": ["a pipeline"],
        "channel": "kafka",
        "createdAt": "2026-01-01T00:00:00Z",
        "approvals": {"required": 0},
        "planHash": None,
        "stoppedAt": "seed",
        "detail": None,
        "hint": None,
        "attempts": (),
    }
    show_reset(reset("failed", **(shown | {"steps": [step]})))
    assert "accepts:      learned.core 1 of 2 (ben)" in capsys.readouterr().out
