"""`resetd refusals`: what is left of requests that were refused."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.client import client
from daemon.cli.durations import age
from daemon.cli.output import Format, Output, listed

refusals = typer.Typer(no_args_is_help=True, help="Requests that were refused and forgotten, by environment.")


@refusals.command("list")
def list_refusals(
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 100, output: Output = Format.TABLE
) -> None:
    """List the environments for which requests were refused and forgotten, the last refusal first."""
    with client() as daemon:
        rows = daemon.get("/refusals", limit=limit)
    listed(
        rows,
        output,
        name=lambda row: row["environment"],
        columns=(
            ("ENVIRONMENT", lambda row: row["environment"]),
            ("REQUESTS", lambda row: row["count"]),
            ("REASON", lambda row: row["reason"]),
            ("LAST", lambda row: age(row["lastAt"])),
            ("BY", lambda row: row["requestedBy"]),
            ("EVENT", lambda row: row.get("eventId") or "-"),
        ),
        empty="no refused requests",
    )
