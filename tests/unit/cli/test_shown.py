"""What a person reads before deciding."""

from __future__ import annotations

import pytest

from daemon.cli.shown import show_plan
from schemas.requests import Mode
from tests.unit.planner.world import planned, request


def test_each_destructive_step_of_a_plan_is_called_so_also_where_a_shell_runs_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = planned(request(mode=Mode.WIPE))
    show_plan(plan.model_dump(mode="json", by_alias=True))
    lines = capsys.readouterr().out.splitlines()
    for step in plan.steps:
        (line,) = [each for each in lines if f"  {step.name}  " in each]
        assert ("(destructive)" in line) is step.destructive
