"""Arguments and options that several verbs have, and the question that `--yes` answers."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from daemon.cli.exit_codes import EndError, Exit

Reference = Annotated[str, typer.Argument(metavar="ID", help="a reset's id, ENV/NUMBER or ENV/@latest")]
Why = Annotated[str | None, typer.Option("--reason", help="why; recorded")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="do not ask")]


def confirm(question: str, *, yes: bool) -> None:
    """Ask a person to agree, unless `yes` says that they did. Without a terminal `--yes` is needed.

    Raises:
        EndError: the person did not agree, or there is no terminal to ask on.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise EndError(Exit.USAGE, "nobody to ask: this is no terminal", "Add --yes.")
    if not typer.confirm(question, err=True):
        raise EndError(Exit.REFUSED, "not done")
