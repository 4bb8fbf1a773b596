"""`resetd wait`: wait for a state of a reset. `resetd request --wait` waits the same way."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from daemon.cli.client import AWAY_LIMIT_SECONDS, Client, Json, client
from daemon.cli.durations import seconds_of
from daemon.cli.exit_codes import OF_STATE, RESTING, Exit
from daemon.cli.next_step import last_words
from daemon.cli.options import Reference
from daemon.cli.output import Format, Output, answer, say
from schemas.resets import ResetState

_ATTENTION = {ResetState.AWAITING_APPROVAL.value, ResetState.NEEDS_OPERATOR.value}
_WAIT_POLL_SECONDS = 0.5


def wait(
    reference: Reference,
    target: Annotated[ResetState, typer.Option("--for", help="the state to wait for")] = ResetState.DONE,
    timeout: Annotated[
        str | None, typer.Option("--timeout", help="wait at most so long, like 30m; unless given, for ever")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Wait until a reset has reached a state, or stands still in another."""
    with client() as daemon:
        reset, code = wait_for(daemon, reference, target.value, timeout)
    answer(reset, output, names=[reset["reference"]], text=lambda: say(last_words(reset)))
    raise typer.Exit(code)


def wait_for(daemon: Client, reference: str, target: str, timeout: str | None) -> tuple[Json, Exit]:
    """Wait until the reset has been in the state `target`, or stands still in another.

    The answer is the reset as it stands then, and the exit code. `timeout` is like `30m`; after it the code is
    `TIME_IS_UP`. None: wait for ever.
    """
    ends = time.monotonic() + seconds_of(timeout) if timeout else None
    reset = daemon.reset(reference)
    daemon.patience = AWAY_LIMIT_SECONDS
    seen = 0
    passed: set[str] = set()
    while True:
        for entry in daemon.get(f"/resets/{reset['id']}/events", after=seen):
            seen = int(entry["sequence"])
            passed.add(entry["data"]["state"])
        reset = daemon.reset(reset["id"])
        state = reset["state"]
        # A state that a reset only passes through counts as soon as the reset has been there. A state to stand still in
        # counts only when no act is unread: a reset that was just resumed is `failed` until its holder reads that.
        if target in passed and target not in RESTING:
            return reset, Exit.DONE
        if not reset["unreadActs"]:
            if state == target:
                return reset, Exit.DONE
            if state in RESTING or state in _ATTENTION:
                return reset, OF_STATE[ResetState(state)] or Exit.FAILED
        if ends is not None and time.monotonic() >= ends:
            return reset, Exit.TIME_IS_UP
        time.sleep(_WAIT_POLL_SECONDS)
