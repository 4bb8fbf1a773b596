"""`resetd audit`: list who asked for what."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.client import client
from daemon.cli.durations import moment_of
from daemon.cli.output import Format, Output, listed


def audit(
    environment: Annotated[
        str | None, typer.Option("--environment", "-e", help="only of this environment")
    ] = None,
    actor: Annotated[
        str | None, typer.Option("--actor", help="only what this person or service asked for")
    ] = None,
    since: Annotated[str | None, typer.Option("--since", help="a time, or how long ago: 90m, 24h")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="show at most so many")] = 100,
    output: Output = Format.TABLE,
) -> None:
    """List who asked for what, when and why, and what came of it, newest first. Refused calls are listed, too."""
    with client() as daemon:
        rows = daemon.get(
            "/audit",
            environment=environment,
            actor=actor,
            since=moment_of(since).isoformat() if since else None,
            limit=limit,
        )
    listed(
        rows,
        output,
        name=lambda row: f"{row['chain']}/{row['number']}",
        columns=(
            ("AT", lambda row: row["at"]),
            ("ENVIRONMENT", lambda row: row["environment"]),
            ("WHAT", lambda row: " ".join(filter(None, (row["action"], row["facts"].get("step"))))),
            ("VERDICT", lambda row: row["code"] or row["verdict"]),
            ("BY", lambda row: f"{row['actor']} ({row['channel']})"),
            ("REASON", lambda row: row["reason"]),
        ),
        wide=(
            ("LINE", lambda row: f"{row['chain']}/{row['number']}"),
            ("STATE", lambda row: row["state"]),
            ("DETAIL", lambda row: row["detail"]),
            ("HASH", lambda row: row["hash"]),
        ),
        empty="nothing was asked for",
    )
