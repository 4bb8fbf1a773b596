"""`resetd wait`, and waiting as other verbs do it."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from daemon.cli.client import PATIENCE, Client, Json, client
from daemon.cli.durations import seconds_of
from daemon.cli.exit_codes import OF_STATE, RESTING, Exit
from daemon.cli.next_step import last_words
from daemon.cli.options import Reference
from daemon.cli.output import Format, Output, answer, say
from schemas.resets import ResetState

_ATTENTION = {ResetState.AWAITING_APPROVAL.value, ResetState.NEEDS_OPERATOR.value}
_LOOK_EVERY = 0.5


def wait(
    reference: Reference,
    target: Annotated[ResetState, typer.Option("--for", help="state to wait for")] = ResetState.DONE,
    timeout: Annotated[str | None, typer.Option("--timeout", help="as 30m; without one for ever")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Wait until a reset has reached a state, or stands still in another one."""
    with client() as daemon:
        reset, code = wait_for(daemon, reference, target.value, timeout)
    answer(reset, output, names=[reset["reference"]], text=lambda: say(last_words(reset)))
    raise typer.Exit(code)


def wait_for(daemon: Client, reference: str, target: str, timeout: str | None) -> tuple[Json, Exit]:
    """The reset once it has been in `target` or stands still elsewhere, and what that means."""
    ends = time.monotonic() + seconds_of(timeout) if timeout else None
    reset = daemon.reset(reference)
    daemon.patience = PATIENCE
    seen = 0
    passed: set[str] = set()
    while True:
        for entry in daemon.get(f"/resets/{reset['id']}/events", after=seen):
            seen = int(entry["sequence"])
            passed.add(entry["data"]["state"])
        reset = daemon.reset(reset["id"])
        state = reset["state"]
        # A state that only is passed through counts once it was there; one to stand still in has to hold, and
        # does not while an act is unread: a reset that was just resumed still says `failed`.
        if target in passed and target not in RESTING:
            return reset, Exit.DONE
        if not reset["unreadActs"]:
            if state == target:
                return reset, Exit.DONE
            if state in RESTING or state in _ATTENTION:
                return reset, OF_STATE[ResetState(state)] or Exit.FAILED
        if ends is not None and time.monotonic() >= ends:
            return reset, Exit.TIME_IS_UP
        time.sleep(_LOOK_EVERY)
