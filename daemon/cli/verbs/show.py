"""`resetd show`: print one reset or its plan."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.client import client
from daemon.cli.options import Reference
from daemon.cli.output import Format, Output, answer
from daemon.cli.plan_output import show_plan
from daemon.cli.reset_output import show_reset


def show(
    reference: Reference,
    plan: Annotated[bool, typer.Option("--plan", help="show the plan in force instead")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Show one reset: where it stands, its steps, and what to do next."""
    with client() as daemon:
        reset = daemon.reset(reference)
        shown = daemon.get(f"/resets/{reset['id']}/plan") if plan else reset
    if plan:
        answer(shown, output, names=[shown["hash"]], text=lambda: show_plan(shown))
    else:
        answer(shown, output, names=[reset["reference"]], text=lambda: show_reset(shown))
