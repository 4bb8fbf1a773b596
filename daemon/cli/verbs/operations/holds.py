"""`resetd hold` and `resetd unhold`: a person takes the locks of an environment until a moment."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from daemon.cli.client import Json, client
from daemon.cli.durations import in_words, until_moment
from daemon.cli.exit_codes import EndError, Exit
from daemon.cli.options import Why, Yes, confirm
from daemon.cli.output import Format, Output, answer, listed, note, say

Environment = Annotated[str | None, typer.Argument(metavar="ENV", help="the environment")]


def hold(
    environment: Environment = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="T", help="2h, 18:00, or a moment like 2026-12-01T18:00+01:00"),
    ] = None,
    reason: Why = None,
    after: Annotated[
        bool, typer.Option("--after", help="wait for the reset that is at work there, then hold it")
    ] = False,
    show: Annotated[bool, typer.Option("--list", help="show who holds what, and hold nothing")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Take the locks of an environment for yourself, until a moment. Resets wait; plans are still answered."""
    if show:
        _list(output)
        return
    if environment is None or until is None or not (reason or sys.stdin.isatty()):
        raise EndError(
            Exit.USAGE,
            "ENV, --until and --reason are needed",
            "Write it like hold ENV --until 2h --reason WHY.",
        )
    end = until_moment(until)
    why = reason or typer.prompt("Reason", err=True)
    body = {"expiresAt": end.isoformat(), "reason": why, "after": after or None}
    with client() as daemon:
        given = daemon.post(f"/environments/{environment}/hold", body)
    answer(given, output, names=[given["id"]], text=lambda: _say(given, in_words(end)))


def _say(given: Json, end: str) -> None:
    name = given["environment"]
    if given["grantedAt"] is None:
        say(f"{name} is yours until {end}, once {', '.join(given['atWork'])} is over")
    else:
        say(f"{name} is yours until {end}")
    for what in given["unread"]:
        note(f"not read: {what}; resets of environments that share it may not be kept away")
    note(f"`resetd unhold {name}` gives it back before that; its end is told 15 minutes before")


def unhold(
    environment: Annotated[str, typer.Argument(metavar="ENV", help="the environment")],
    reason: Why = None,
    yes: Yes = False,
    output: Output = Format.TABLE,
) -> None:
    """Give an environment back before its time. Resets that wait for it start."""
    confirm(f"End the hold of {environment}? Resets that wait for it start.", yes=yes)
    with client() as daemon:
        ended = daemon.post(f"/environments/{environment}/unhold", {"reason": reason})
    answer(ended, output, names=[ended["id"]], text=lambda: say(f"{environment} is not held any more"))


def _list(output: Format) -> None:
    with client() as daemon:
        rows = daemon.get("/holds")
    listed(
        rows,
        output,
        name=lambda row: row["id"],
        columns=(
            ("ENVIRONMENT", lambda row: row["environment"]),
            ("HOLDER", lambda row: row["holder"]),
            ("HELD", lambda row: "held" if row["grantedAt"] else "waits"),
            ("UNTIL", lambda row: row["expiresAt"]),
            ("REASON", lambda row: row["reason"]),
        ),
        wide=(("ID", lambda row: row["id"]), ("RESOURCES", lambda row: ", ".join(row["keys"]))),
        empty="nothing is held",
    )
