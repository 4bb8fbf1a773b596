"""`resetd approve` and `resetd deny`: decide about a reset that waits for approval."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from daemon.cli.client import client
from daemon.cli.exit_codes import EndError, Exit
from daemon.cli.options import Reference, Why, Yes, confirm
from daemon.cli.plan_output import show_plan
from daemon.cli.verbs.resets.acts import act, taken_down

PlanHash = Annotated[
    str | None,
    typer.Option(
        "--plan-hash", metavar="HASH", help="hash of the plan to approve; needed without a terminal"
    ),
]


Confirm = Annotated[
    str | None,
    typer.Option(
        "--confirm",
        metavar="ENV",
        help="the environment's name; a plan that wipes needs it, and a terminal asks for it",
    ),
]


def approve(
    reference: Reference,
    plan_hash: PlanHash = None,
    typed: Confirm = None,
    reason: Why = None,
    yes: Yes = False,
) -> None:
    """Approve the plan of a reset. A terminal shows it first. Nobody approves a request of their own."""
    with client() as daemon:
        reset = daemon.reset(reference)
        plan = daemon.get(f"/resets/{reset['id']}/plan")
        if plan_hash is None and not sys.stdin.isatty():
            hint = f"It is {plan['hash']}: read it with `resetd show {reference} --plan`, then pass it."
            raise EndError(Exit.USAGE, "without a terminal --plan-hash is needed", hint)
        if plan_hash is None:
            show_plan(plan)
            people = ", ".join(reset["requestedBy"])
            confirm(f"Approve this plan for {reset['environment']}, asked for by {people}?", yes=yes)
        wipes = "wipe" in {plan["mode"], *plan["serviceModes"].values()}
        if wipes and typed is None and sys.stdin.isatty():
            typed = typer.prompt("This wipes. Type the environment's name", err=True)
        body = {"planHash": plan_hash or plan["hash"], "confirm": typed, "reason": reason}
        taken_down(daemon.post(f"/resets/{reset['id']}/approve", body), "approval")


def deny(reference: Reference, reason: Why = None, yes: Yes = False) -> None:
    """Deny a reset that waits for approval."""
    act(reference, "deny", {"reason": reason}, f"Deny {reference}?", yes=yes)
