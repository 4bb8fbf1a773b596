"""`resetd logs`: print the output of a reset's commands."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from daemon.cli.client import Client, client
from daemon.cli.durations import moment_of
from daemon.cli.exit_codes import EndError, Exit
from daemon.cli.options import Reference
from daemon.cli.output import clean


def logs(
    reference: Reference,
    step: Annotated[str | None, typer.Argument(help="only this step's output")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on with output as it comes")] = False,
    tail: Annotated[
        int | None, typer.Option("--tail", min=0, help="only the last lines of each attempt")
    ] = None,
    attempt: Annotated[
        int | None,
        typer.Option("--attempt", min=1, help="number of the step's attempt; unless given, the last one"),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", help="only attempts that ran after this time; or how long ago: 90m, 24h"),
    ] = None,
    timestamps: Annotated[bool, typer.Option("--timestamps", help="show when each attempt began")] = False,
) -> None:
    """Print the output of a reset's commands. It outlives their pods."""
    if attempt is not None and step is None:
        raise EndError(
            Exit.USAGE, "--attempt is of one step", f"resetd logs {reference} STEP --attempt {attempt}"
        )
    with client() as daemon:
        began = _beginnings(daemon, reference) if timestamps else {}
        for line in daemon.text(
            f"/resets/{reference}/log",
            step=step,
            attempt=attempt,
            tail=tail,
            since=moment_of(since).isoformat() if since else None,
            follow="true" if follow else None,
        ):
            text = clean(line)
            moment = began.get(text.strip()) if text.startswith("==> ") else None
            sys.stdout.write(f"{text.rstrip()}  {moment}\n" if moment else text)
            sys.stdout.flush()


def _beginnings(daemon: Client, reference: str) -> dict[str, str]:
    return {
        f"==> {attempt['step']} (attempt {attempt['number']}) <==": attempt["startedAt"]
        for attempt in daemon.reset(reference)["attempts"]
    }
