"""`resetd protected`: what counts as protected, and a person's scoped, expiring word about it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated
from urllib.parse import quote

import typer

from daemon.cli.client import Json, client
from daemon.cli.durations import age, seconds_of
from daemon.cli.exit_codes import EndError, Exit
from daemon.cli.options import Yes
from daemon.cli.options import confirm as ask
from daemon.cli.output import Format, Output, answer, listed, note, say
from daemon.cli.plan_output import what_it_says

protected = typer.Typer(
    no_args_is_help=True, help="What counts as protected, and a person's scoped, expiring word about it."
)
Subject = Annotated[
    str, typer.Argument(metavar="SCOPE", help="ENV, ENV/SERVICE, ENV/SERVICE/DATABASE, or an ID of `list`")
]
Why = Annotated[str, typer.Option("--reason", help="how you know; recorded", prompt=sys.stdin.isatty())]
Expires = Annotated[
    str | None,
    typer.Option(
        "--expires", metavar="T", help="how long the word counts: 12h, 7d; 30d unless given, 90d at most"
    ),
]


@protected.command("list")
def list_protected(
    environment: Annotated[str | None, typer.Option("--environment", "-e", help="only of this one")] = None,
    ended: Annotated[bool, typer.Option("--ended", help="words that ended, too")] = False,
    output: Output = Format.TABLE,
) -> None:
    """List what is remembered of protected environments, and people's words about them."""
    with client() as daemon:
        rows = daemon.get("/protected", environment=environment, ended=ended or None)
    listed(
        rows,
        output,
        name=lambda row: row["id"],
        columns=(
            ("ID", lambda row: row["id"]),
            ("WHAT", lambda row: row["what"] if row["inForce"] or row["what"] == "forgotten" else "ended"),
            ("ABOUT", lambda row: row["scope"] or "/".join(filter(None, (row["service"], row["database"])))),
            ("SAYS", lambda row: what_it_says(row) if row["givenBy"] else "seen in use"),
            ("SEEN", lambda row: age(row["lastSeenAt"])),
            ("BY", lambda row: row["givenBy"]),
            ("UNTIL", lambda row: row["expiresAt"]),
            ("REASON", lambda row: row["reason"]),
        ),
        wide=(
            ("ENVIRONMENT", lambda row: row["environment"]),
            ("KIND", lambda row: row["kind"]),
            ("FIRST", lambda row: row["firstSeenAt"]),
            ("GIVEN", lambda row: row["givenAt"]),
            ("TAKEN BACK BY", lambda row: row["withdrawnBy"]),
        ),
        empty="nothing is remembered, and nobody said anything",
    )


@protected.command("confirm")
def confirm(
    subject: Subject,
    reason: Why,
    uses: Annotated[
        list[str] | None,
        typer.Option(
            "--uses", metavar="KEY", help="a database that it uses: database/SYSTEM-IDENTIFIER/NAME"
        ),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="it uses no database of these")] = False,
    unseen: Annotated[
        bool, typer.Option("--unseen", help="--uses is right, although nobody ever saw such a database")
    ] = False,
    expires: Expires = None,
    yes: Yes = False,
    output: Output = Format.TABLE,
) -> None:
    """Say what a protected environment that can't be read uses, so that the resets of others go on.

    Without --uses and --none, what is remembered of it still holds. It never lifts what is seen, and ends for what is
    seen again.
    """
    if uses and none:
        raise EndError(Exit.USAGE, "--uses and --none contradict each other", "Give one of them.")
    stated: list[str] | None = uses or ([] if none else None)
    body: Json = {"reason": reason, "uses": stated, "expiresAt": _end(expires)}
    body |= {"unseen": True} if unseen else {}
    says = what_it_says({"uses": stated})
    _give(subject, "confirm", body, f"Say for {subject}: {says}?", yes=yes, output=output)


@protected.command("forget")
def forget(
    subject: Subject, reason: Why, expires: Expires = None, yes: Yes = False, output: Output = Format.TABLE
) -> None:
    """Say that what is remembered is true no more; or take a word back, by its ID. What is seen is remembered again."""
    body = {"reason": reason, "expiresAt": _end(expires)}
    _give(subject, "forget", body, f"Forget {subject}?", yes=yes, output=output)


def _give(subject: str, verb: str, body: Json, question: str, *, yes: bool, output: Format) -> None:
    ask(question, yes=yes)
    with client() as daemon:
        given = daemon.post(f"/protected/{quote(subject)}/{verb}", body)
    answer(given, output, names=[given["id"]], text=lambda: _show(given))


def _show(given: Json) -> None:
    if given["withdrawnAt"]:
        say(f"{given['scope']}: the word of {given['givenBy']} is taken back")
        return
    say(f"{given['scope']}: {what_it_says(given)}, until {given['expiresAt']}")
    note(
        f"`resetd protected forget {given['id']}` takes it back; plans that you ask for yourself can't rely on it"
    )


def _end(expires: str | None) -> str | None:
    if expires is None:
        return None
    return (datetime.now(UTC) + timedelta(seconds=seconds_of(expires))).isoformat()
