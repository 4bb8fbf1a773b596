"""Runs the command line, and ends it with the exit code of what went wrong."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from daemon.cli.exit_codes import EndError
from daemon.cli.output import note

_UNREAD = 128 + signal.SIGPIPE
"""Exit code of a program whose output nobody reads any more. It tells nothing about the reset."""


def run(app: Callable[..., Any]) -> None:
    """Run the application and exit. A known error is printed as a line or two, without a traceback."""
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
        # In `resetd logs ... | head` the reader ends first. Typer and rich notice that first, and end with 1.
        if isinstance(end, SystemExit) and not isinstance(end.__context__, BrokenPipeError):
            raise
        # When Python closes stdout it writes what is left, which would fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_UNREAD)
