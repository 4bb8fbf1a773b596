"""Acts on a reset: `resetd cancel`, `resume`, `skip`, `resolve`, `accept` and `release`."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from daemon.cli.client import Json, client
from daemon.cli.options import Reference, Why, Yes, confirm
from daemon.cli.output import note, say


class Resolution(StrEnum):
    """What a person can say about a step whose outcome is unknown."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


def cancel(reference: Reference, reason: Why = None, yes: Yes = False) -> None:
    """Stop a reset. The command that runs is ended first, and shown to be gone."""
    act(reference, "cancel", {"reason": reason}, f"Cancel {reference}?", yes=yes)


def resume(
    reference: Reference,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="STEP", help="go on from this earlier step")
    ] = None,
    replan: Annotated[bool, typer.Option("--replan", help="make a new plan for what is left")] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="run also what is not to be repeated: steps that succeeded, or that a lost state may have run",
        ),
    ] = False,
    reason: Why = None,
    yes: Yes = False,
) -> None:
    """Go on with a reset where it stopped."""
    body = {"from": from_, "replan": replan or None, "force": force or None, "reason": reason}
    act(reference, "resume", body, f"Resume {reference}?", yes=yes or (from_ is None and not replan))


def skip(
    reference: Reference,
    step: Annotated[str, typer.Argument(help="the step to go on without")],
    reason: Annotated[str, typer.Option("--reason", help="why; recorded", prompt=sys.stdin.isatty())],
    yes: Yes = False,
) -> None:
    """Go on without a step that the catalog calls skippable."""
    act(reference, "skip", {"step": step, "reason": reason}, f"Skip {step} of {reference}?", yes=yes)


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
    act(reference, "resolve", body, f"Has {step} of {reference} {outcome.value}?", yes=yes)


def accept(
    reference: Reference,
    check: Annotated[str, typer.Argument(help="the learned check that failed, as the failure names it")],
    reason: Annotated[
        str, typer.Option("--reason", help="why the tables may be empty; recorded", prompt=sys.stdin.isatty())
    ],
    yes: Yes = False,
) -> None:
    """Take what a learned check found as the new truth, and go on: nothing runs again."""
    body = {"check": check, "reason": reason}
    act(reference, "accept", body, f"Accept what {check} of {reference} found?", yes=yes)


def release(
    reference: Reference,
    reason: Annotated[str, typer.Option("--reason", help="why; recorded", prompt=sys.stdin.isatty())],
    yes: Yes = False,
) -> None:
    """Give back the services that a stopped reset keeps scaled to 0. They start on what may be half done."""
    with client() as daemon:
        reset = daemon.reset(reference)
        plan = daemon.get(f"/resets/{reset['id']}/plan")
        kept = [each["name"] for each in plan["resources"] if each["kind"] == "workload"]
        for name in kept:
            note(f"starts: {name}")
        confirm(f"Release {reference}? It is {reset['state']}.", yes=yes)
        taken_down(daemon.post(f"/resets/{reset['id']}/release", {"reason": reason}), "release")


def act(reference: str, kind: str, body: Json, question: str, *, yes: bool) -> None:
    """Ask a person to agree, then send the act."""
    with client() as daemon:
        reset = daemon.reset(reference)
        confirm(f"{question} It is {reset['state']}.", yes=yes)
        taken_down(daemon.post(f"/resets/{reset['id']}/{kind}", body), kind)


def taken_down(accepted: Json, kind: str) -> None:
    """Say that the daemon has recorded the act, and which command shows what comes of it."""
    reference = accepted["reset"]["reference"]
    say(f"{reference}: {kind} recorded")
    note(f"next: resetd watch {reference}")
