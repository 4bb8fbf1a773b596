"""`resetd backups`: the backups that resets took."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.client import client
from daemon.cli.durations import age
from daemon.cli.output import Format, Output, listed

backups = typer.Typer(no_args_is_help=True, help="Backups that resets took.")


@backups.command("list")
def list_backups(
    reset: Annotated[str | None, typer.Option("--reset", metavar="ID", help="only of this reset")] = None,
    output: Output = Format.TABLE,
) -> None:
    """List backups, newest first."""
    with client() as daemon:
        rows = daemon.get("/backups", reset=reset)
    listed(
        rows,
        output,
        name=lambda row: row["path"],
        columns=(
            ("RESOURCE", lambda row: row["resource"]),
            ("RESET", lambda row: row["reset"]),
            ("AGE", lambda row: age(row["takenAt"])),
            ("BYTES", lambda row: row["sizeBytes"]),
            ("PROVEN", lambda row: "yes" if row["proven"] else "no"),
            ("PATH", lambda row: row["path"]),
        ),
        wide=(("SHA256", lambda row: row["sha256"]),),
        empty="no backups",
    )
