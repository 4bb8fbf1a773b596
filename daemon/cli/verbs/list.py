"""`resetd list`: list resets."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.client import Json, client
from daemon.cli.output import Format, Output, listed
from daemon.cli.reset_output import RESET_COLUMNS, RESET_WIDE
from schemas.resets import ResetState

_PAGE = 200


def list_resets(
    environment: Annotated[
        str | None, typer.Argument(metavar="[ENV]", help="only of this environment")
    ] = None,
    state: Annotated[
        list[ResetState] | None, typer.Option("--state", help="only in this state; may be repeated")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="show at most so many")] = 50,
    output: Output = Format.TABLE,
) -> None:
    """List resets, newest first."""
    rows: list[Json] = []
    cursor: str | None = None
    with client() as daemon:
        while len(rows) < limit:
            page = daemon.get(
                "/resets",
                environment=environment,
                state=[chosen.value for chosen in state] if state else None,
                limit=min(_PAGE, limit - len(rows)),
                cursor=cursor,
            )
            rows += page["items"]
            cursor = page["nextCursor"]
            if cursor is None:
                break
    listed(
        rows,
        output,
        name=lambda row: row["reference"],
        columns=RESET_COLUMNS,
        wide=RESET_WIDE,
        empty="no resets",
    )
