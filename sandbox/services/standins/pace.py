"""What the controls ask of any command: deafness to SIGTERM and a lot of output."""

from __future__ import annotations

import os
import signal
import sys

from sandbox.services.standins import controls

_LINE = "x" * 79 + "\n"


def begin(*names: str) -> controls.Control:
    """The control of this command, by its npm script or one of `names`; its common parts are done already."""
    script = os.environ.get("npm_lifecycle_event")  # noqa: SIM112 - npm's name
    control = controls.here([script, *names] if script else names)
    if control.ignore_term:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if control.output_bytes:
        lines, rest = divmod(control.output_bytes, len(_LINE))
        sys.stdout.write(_LINE * lines + _LINE[:rest])
    return control
