"""`resetd dead-letters`: the records that could not be read."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.client import client
from daemon.cli.durations import age
from daemon.cli.output import Format, Output, listed

dead_letters = typer.Typer(no_args_is_help=True, help="Records that could not be read.")


@dead_letters.command("list")
def list_dead_letters(
    limit: Annotated[int, typer.Option("--limit", min=1, max=500)] = 50, output: Output = Format.TABLE
) -> None:
    """List records that could not be read, newest first."""
    with client() as daemon:
        rows = daemon.get("/dead-letters", limit=limit)
    listed(
        rows,
        output,
        name=lambda row: row["id"],
        columns=(
            ("ID", lambda row: row["id"]),
            ("REASON", lambda row: row["reason"]),
            ("WHERE", lambda row: f"{row['topic']}[{row['partition']}]@{row['offset']}"),
            ("AGE", lambda row: age(row["at"])),
            ("PUBLISHED", lambda row: row["refused"] or ("yes" if row["publishedAt"] else "not yet")),
            ("DETAIL", lambda row: row["detail"]),
        ),
        empty="no dead letters",
    )
