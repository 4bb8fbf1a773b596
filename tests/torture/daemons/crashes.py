"""Tells a daemon that crashed from one that was killed or that may end like that."""

from __future__ import annotations

import signal

from sandbox.daemon_process import DaemonProcess

_LAST_LINES = 10
_STARTED = '"daemon.started"'
_NO_STATE = "daemon.ports.errors.TemporaryError: "


def cause(daemon: DaemonProcess, *, log_from: int) -> str | None:
    """What a daemon crashed of, with the last lines of its log; None: it runs, was killed, or may end like that.

    `log_from`: the bytes of its log before it was started. A daemon that finds no state database at its start may say
    so and end, to be started again; a daemon that serves has to bear that.
    """
    code = daemon.exit_code
    if code is None or code == -signal.SIGKILL:
        return None
    said = daemon.log.read_bytes()[log_from:].decode(errors="replace")
    last = said.splitlines()[-_LAST_LINES:]
    if _STARTED not in said and last and last[-1].startswith(_NO_STATE):
        return None
    return "\n".join([f"a daemon with exit code {code}", *last])
