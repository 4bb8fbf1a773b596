"""`resetd show`."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.client import client
from daemon.cli.options import Reference
from daemon.cli.output import Format, Output, say, structured
from daemon.cli.plan_output import show_plan
from daemon.cli.reset_output import show_reset


def show(
    reference: Reference,
    plan: Annotated[bool, typer.Option("--plan", help="the plan in force instead")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Show one reset: where it stands, its steps, the next step to take."""
    with client() as daemon:
        reset = daemon.reset(reference)
        shown = daemon.get(f"/resets/{reset['id']}/plan") if plan else reset
    if output is Format.NAME:
        say(shown["hash"] if plan else reset["reference"])
    elif not structured(shown, output):
        (show_plan if plan else show_reset)(shown)
