"""The root of the command line: options that hold for every verb, and how errors end it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from daemon.cli.client import Client, connected
from daemon.cli.exit_codes import EndError, Exit
from daemon.cli.output import note

Reference = Annotated[str, typer.Argument(metavar="ID", help="a reset's id, ENV/NUMBER or ENV/@latest")]
Why = Annotated[str | None, typer.Option("--reason", help="why; recorded")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="do not ask")]

_UNREAD = 128 + signal.SIGPIPE
"""As of any program whose output nobody reads any more: what it would have come to is not known."""


@dataclass
class _Given:
    url: str | None = None


_given = _Given()


def root(
    url: Annotated[str | None, typer.Option("--url", help="address of the daemon; else RESETD_URL")] = None,
) -> None:
    """Reset client environments: back up, migrate, seed, verify; watched, agreed to, resumable.

    Exit codes: 0 done, 1 the reset failed, 2 wrong use, 3 refused by a rule or a role, 4 waits for approval or
    an operator, 5 not reachable, 6 not within --timeout.
    """
    _given.url = url


def client() -> AbstractContextManager[Client]:
    """A client for the daemon that was named."""
    return connected(_given.url)


def run(app: Callable[..., Any]) -> None:
    """Run the application and exit; every known error is a line or two, never a traceback."""
    try:
        try:
            app(prog_name="resetd")
        except SystemExit:
            sys.stdout.flush()
            raise
    except EndError as error:
        note(f"resetd: {error.message}")
        if error.hint:
            note(f"  {error.hint}")
        sys.exit(error.code)
    except KeyboardInterrupt:
        sys.exit(130)
    except (BrokenPipeError, SystemExit) as end:
        # `resetd logs ... | head`: nobody reads any more. Typer and rich meet it first, and end with 1.
        if isinstance(end, SystemExit) and not isinstance(end.__context__, BrokenPipeError):
            raise
        # What is left would be written, and fail once more, when Python closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_UNREAD)


def confirm(question: str, *, yes: bool) -> None:
    """Ask a person; go on only with yes. Without a terminal `--yes` is needed.

    Raises:
        EndError: not agreed, or nobody to ask.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise EndError(Exit.USAGE, "nobody to ask: this is no terminal", "Add --yes.")
    if not typer.confirm(question, err=True):
        raise EndError(Exit.REFUSED, "not done")
