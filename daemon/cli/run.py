"""Running the application, and how errors end it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from daemon.cli.exit_codes import EndError
from daemon.cli.output import note

_UNREAD = 128 + signal.SIGPIPE
"""As of any program whose output nobody reads any more: what it would have come to is not known."""


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
