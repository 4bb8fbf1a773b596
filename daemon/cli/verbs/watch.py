"""`resetd watch`, `wait` and `logs`: going along with a reset, over restarts of the daemon as well."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from daemon.cli.client import PATIENCE, Client
from daemon.cli.durations import moment_of, seconds_of
from daemon.cli.exit_codes import OF_STATE, EndError, Exit
from daemon.cli.output import Format, Output, clean, note, out, say, structured, styled
from daemon.cli.reset_output import last_words, outcome, took, waits_for
from daemon.cli.run import Reference, client
from schemas.resets import ResetState

Json = dict[str, Any]
_ATTENTION = {ResetState.AWAITING_APPROVAL.value, ResetState.NEEDS_OPERATOR.value}
_RESTING = {state.value for state in OF_STATE} - {ResetState.AWAITING_APPROVAL.value}
_LOOK_EVERY = 0.5
_STEP_EVENTS = ("step-started", "step-finished")


def watch(reference: Reference) -> None:
    """Show a reset live until it comes to rest; plain lines when piped."""
    with client() as daemon:
        daemon.patience = PATIENCE
        reset = _settled(daemon, daemon.reset(reference))
        reset = _watch_live(daemon, reset) if out.is_terminal else _watch_lines(daemon, reset)
    note(last_words(reset))
    raise typer.Exit(OF_STATE[ResetState(reset["state"])])


def wait(
    reference: Reference,
    target: Annotated[ResetState, typer.Option("--for", help="state to wait for")] = ResetState.DONE,
    timeout: Annotated[str | None, typer.Option("--timeout", help="as 30m; without one for ever")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Wait until a reset has reached a state, or stands still in another one."""
    with client() as daemon:
        reset, code = wait_for(daemon, reference, target.value, timeout)
    if output is Format.NAME:
        say(reset["reference"])
    elif not structured(reset, output):
        say(last_words(reset))
    raise typer.Exit(code)


def logs(
    reference: Reference,
    step: Annotated[str | None, typer.Argument(help="only this step's output")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on as it comes")] = False,
    tail: Annotated[
        int | None, typer.Option("--tail", min=0, help="only the last lines of each attempt")
    ] = None,
    attempt: Annotated[
        int | None, typer.Option("--attempt", min=1, help="of the step; else the last one")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", help="only attempts that ran after a time, or that long ago: 90m, 24h"),
    ] = None,
    timestamps: Annotated[bool, typer.Option("--timestamps", help="when each attempt began")] = False,
) -> None:
    """Print what the commands printed; it outlives their pods."""
    if attempt is not None and step is None:
        raise EndError(
            Exit.USAGE, "--attempt is of one step", f"resetd logs {reference} STEP --attempt {attempt}"
        )
    with client() as daemon:
        began = _beginnings(daemon, reference) if timestamps else {}
        for line in daemon.text(
            f"/resets/{reference}/log",
            step=step,
            attempt=attempt,
            tail=tail,
            since=moment_of(since).isoformat() if since else None,
            follow="true" if follow else None,
        ):
            text = clean(line)
            moment = began.get(text.strip()) if text.startswith("==> ") else None
            sys.stdout.write(f"{text.rstrip()}  {moment}\n" if moment else text)
            sys.stdout.flush()


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
        if target in passed and target not in _RESTING:
            return reset, Exit.DONE
        if not reset["unreadActs"]:
            if state == target:
                return reset, Exit.DONE
            if state in _RESTING or state in _ATTENTION:
                return reset, OF_STATE[ResetState(state)] or Exit.FAILED
        if ends is not None and time.monotonic() >= ends:
            return reset, Exit.TIME_IS_UP
        time.sleep(_LOOK_EVERY)


def _settled(daemon: Client, reset: Json) -> Json:
    """The reset once its holder has read what people asked of it: a resumed one says `failed` until then."""
    while reset["unreadActs"]:
        time.sleep(_LOOK_EVERY)
        reset = daemon.reset(reset["id"])
    return reset


def _watch_lines(daemon: Client, reset: Json) -> Json:
    for entry in daemon.events(reset["id"], 0):
        data = entry["data"]
        say(_line(entry, data))
        if _rests(data, entry) and entry["sequence"] >= reset["sequence"]:
            reset = daemon.reset(reset["id"])
            if reset["state"] in _RESTING:
                break
    return reset


def _watch_live(daemon: Client, reset: Json) -> Json:
    with Live(_picture(reset), console=out, refresh_per_second=4, vertical_overflow="visible") as live:
        if reset["state"] in _RESTING:
            return reset
        for entry in daemon.events(reset["id"], reset["sequence"]):
            reset = daemon.reset(reset["id"])
            live.update(_picture(reset))
            if _rests(entry["data"], entry) and reset["state"] in _RESTING:
                break
    return reset


def _rests(data: Json, entry: Json) -> bool:
    return data["state"] in _RESTING and not any(f".{name}." in entry["type"] for name in _STEP_EVENTS)


def _line(entry: Json, data: Json) -> str:
    event = entry["type"].removeprefix("com.fuse.environment.reset.").removesuffix(".v1")
    words = [entry["at"], event]
    if event in _STEP_EVENTS:
        words += [data["step"], f"attempt={data['attempt']}", data.get("outcome") or ""]
    waiting = data.get("waitingFor")
    words += [f"{waiting['reason']}: {waiting['detail']}" if waiting else "", data.get("cause") or ""]
    words.append((data.get("detail") or "").partition("\n")[0])
    return "  ".join(word for word in words if word)


def _picture(reset: Json) -> Group:
    head = Text.assemble(
        (reset["reference"], "bold"), "  ", styled(reset["state"]), f"  {clean(waits_for(reset))}"
    )
    steps = Table(box=None, pad_edge=False, show_header=False)
    for step in reset["steps"]:
        tries = f"attempt {step['attempts']}" if step["attempts"] > 1 else ""
        steps.add_row(
            Text(step["name"]), styled(step["state"]), took(reset, step), tries, clean(outcome(step))
        )
    return Group(head, steps)


def _beginnings(daemon: Client, reference: str) -> dict[str, str]:
    return {
        f"==> {one['step']} (attempt {one['number']}) <==": one["startedAt"]
        for one in daemon.reset(reference)["attempts"]
    }
