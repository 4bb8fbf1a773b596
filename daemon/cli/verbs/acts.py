"""What people decide about a reset: agree, deny, cancel, go on, skip, resolve."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from daemon.cli.exit_codes import EndError, Exit
from daemon.cli.output import note, say
from daemon.cli.reset_output import show_plan
from daemon.cli.run import Reference, Why, Yes, client, confirm

PlanHash = Annotated[
    str | None,
    typer.Option("--plan-hash", metavar="HASH", help="the plan agreed to; needed without a terminal"),
]


class Resolution(StrEnum):
    """What a person can say became of a step."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


def approve(reference: Reference, plan_hash: PlanHash = None, reason: Why = None, yes: Yes = False) -> None:
    """Agree to a reset's plan, once it was shown; never to one's own request."""
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
        body = {"planHash": plan_hash or plan["hash"], "confirm": reset["environment"], "reason": reason}
        _done(daemon.post(f"/resets/{reset['id']}/approve", body), "approval")


def deny(reference: Reference, reason: Why = None, yes: Yes = False) -> None:
    """Refuse a reset that waits for approval."""
    _act(reference, "deny", {"reason": reason}, f"Deny {reference}?", yes=yes)


def cancel(reference: Reference, reason: Why = None, yes: Yes = False) -> None:
    """Stop a reset; the command that runs is ended first, and proven to be gone."""
    _act(reference, "cancel", {"reason": reason}, f"Cancel {reference}?", yes=yes)


def resume(
    reference: Reference,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="STEP", help="an earlier step to go on from")
    ] = None,
    replan: Annotated[bool, typer.Option("--replan", help="make a new plan for what is left")] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="run again also what succeeded, or what a lost state may have run, and is not to be repeated",
        ),
    ] = False,
    reason: Why = None,
    yes: Yes = False,
) -> None:
    """Go on with a reset where it stopped."""
    body = {"from": from_, "replan": replan or None, "force": force or None, "reason": reason}
    _act(reference, "resume", body, f"Resume {reference}?", yes=yes or (from_ is None and not replan))


def skip(
    reference: Reference,
    step: Annotated[str, typer.Argument(help="the step to go on without")],
    reason: Annotated[str, typer.Option("--reason", help="why; recorded", prompt=sys.stdin.isatty())],
    yes: Yes = False,
) -> None:
    """Go on without a step that the catalog calls skippable."""
    _act(reference, "skip", {"step": step, "reason": reason}, f"Skip {step} of {reference}?", yes=yes)


def resolve(
    reference: Reference,
    step: Annotated[str, typer.Argument(help="the step whose outcome is unknown")],
    outcome: Annotated[Resolution, typer.Argument(help="what became of it")],
    reason: Annotated[
        str, typer.Option("--reason", help="how you know; recorded", prompt=sys.stdin.isatty())
    ],
    yes: Yes = False,
) -> None:
    """Say what became of a step whose outcome is unknown."""
    body = {"step": step, "outcome": outcome.value, "reason": reason}
    _act(reference, "resolve", body, f"Has {step} of {reference} {outcome.value}?", yes=yes)


def _act(reference: str, kind: str, body: dict[str, Any], question: str, *, yes: bool) -> None:
    with client() as daemon:
        reset = daemon.reset(reference)
        confirm(f"{question} It is {reset['state']}.", yes=yes)
        _done(daemon.post(f"/resets/{reset['id']}/{kind}", body), kind)


def _done(accepted: dict[str, Any], kind: str) -> None:
    reference = accepted["reset"]["reference"]
    say(f"{reference}: {kind} taken down")
    note(f"next: resetd watch {reference}")
