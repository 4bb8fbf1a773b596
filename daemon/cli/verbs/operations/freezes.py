"""`resetd freeze` and `resetd unfreeze`: no reset crosses its first destructive step until a moment."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from daemon.cli.client import Json, client
from daemon.cli.durations import in_words, until_moment
from daemon.cli.exit_codes import EndError, Exit
from daemon.cli.options import Why, Yes, confirm
from daemon.cli.output import Format, Output, answer, listed, note, say

Environment = Annotated[str | None, typer.Argument(metavar="ENV", help="the environment; or --all")]
All = Annotated[bool, typer.Option("--all", help="all environments; needs the role admin")]
Until = Annotated[
    str | None,
    typer.Option("--until", metavar="T", help="2h, 18:00, or a moment like 2026-12-01T18:00+01:00"),
]


def freeze(
    environment: Environment = None,
    every: All = False,
    until: Until = None,
    reason: Why = None,
    now: Annotated[
        bool,
        typer.Option("--now", help="pause also what is at work, between steps; first says what stays down"),
    ] = False,
    show: Annotated[bool, typer.Option("--list", help="show what is frozen, and freeze nothing")] = False,
    yes: Yes = False,
    output: Output = Format.TABLE,
) -> None:
    """Let no reset cross its first destructive step until a moment. What has crossed it goes on."""
    if show:
        _list(output)
        return
    scope = _scope(environment, every)
    if until is None or not (reason or sys.stdin.isatty()):
        raise EndError(
            Exit.USAGE, "--until and --reason are needed", "Write it like --until 2h --reason WHY."
        )
    end = until_moment(until)
    why = reason or typer.prompt("Reason", err=True)
    body: Json = {
        "environment": environment,
        "all": every or None,
        "expiresAt": end.isoformat(),
        "reason": why,
    }
    body |= {"now": True} if now else {}
    with client() as daemon:
        if now:
            _say_who_stays_down(daemon.post("/freeze", {**body, "dryRun": True})["pauses"], in_words(end))
        confirm(f"Freeze {scope} until {in_words(end)}?", yes=yes)
        given = daemon.post("/freeze", body)
    answer(given, output, names=[given["id"]], text=lambda: say(f"{scope} frozen until {in_words(end)}"))
    if output is Format.TABLE:
        note(f"`resetd unfreeze {'--all' if every else environment}` ends it before that")


def _say_who_stays_down(pauses: list[Json], end: str) -> None:
    for each in pauses:
        down = f"down until then: {', '.join(each['down'])}" if each["down"] else "its services run on it"
        note(f"pauses {each['reference']} ({each['state']}), half rebuilt until {end}; {down}")
    if not pauses:
        note("nothing is at work that it would pause")


def unfreeze(
    environment: Environment = None,
    every: All = False,
    reason: Why = None,
    yes: Yes = False,
    output: Output = Format.TABLE,
) -> None:
    """End the freezes of an environment, or those of all, before their time. Resets that wait for that go on."""
    scope = _scope(environment, every)
    confirm(f"End the freeze of {scope}? Resets that wait for that go on.", yes=yes)
    with client() as daemon:
        ended = daemon.post("/unfreeze", {"environment": environment, "all": every or None, "reason": reason})
    answer(
        ended, output, names=(row["id"] for row in ended), text=lambda: say(f"{scope} is not frozen any more")
    )


def _list(output: Format) -> None:
    with client() as daemon:
        rows = daemon.get("/freezes")
    listed(
        rows,
        output,
        name=lambda row: row["id"],
        columns=(
            ("FROZEN", lambda row: row["environment"] or "all environments"),
            ("UNTIL", lambda row: row["expiresAt"]),
            ("BY", lambda row: row["givenBy"]),
            ("REASON", lambda row: row["reason"]),
        ),
        wide=(("ID", lambda row: row["id"]), ("SINCE", lambda row: row["givenAt"])),
        empty="nothing is frozen",
    )


def _scope(environment: str | None, every: bool) -> str:
    if (environment is None) is not every:
        raise EndError(Exit.USAGE, "name one environment, or say --all")
    return environment or "all environments"
