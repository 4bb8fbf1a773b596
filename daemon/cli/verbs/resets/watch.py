"""`resetd watch`: show a reset live, over restarts of the daemon as well."""

from __future__ import annotations

import time

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from daemon.cli.client import AWAY_LIMIT_SECONDS, Client, Json, client
from daemon.cli.exit_codes import OF_STATE, RESTING
from daemon.cli.next_step import last_words, waits_for
from daemon.cli.options import Reference
from daemon.cli.output import clean, note, out, say, styled
from daemon.cli.reset_output import outcome, took
from schemas.resets import ResetState

_WATCH_POLL_SECONDS = 0.5
_STEP_EVENTS = ("step-started", "step-finished")


def watch(reference: Reference) -> None:
    """Show a reset live until it comes to rest. When piped, print plain lines."""
    with client() as daemon:
        daemon.patience = AWAY_LIMIT_SECONDS
        reset = _settled(daemon, daemon.reset(reference))
        reset = _watch_live(daemon, reset) if out.is_terminal else _watch_lines(daemon, reset)
    note(last_words(reset))
    raise typer.Exit(OF_STATE[ResetState(reset["state"])])


def _settled(daemon: Client, reset: Json) -> Json:
    """Wait until the reset's lease holder has read every act. Until then a resumed reset is still `failed`."""
    while reset["unreadActs"]:
        time.sleep(_WATCH_POLL_SECONDS)
        reset = daemon.reset(reset["id"])
    return reset


def _watch_lines(daemon: Client, reset: Json) -> Json:
    for entry in daemon.events(reset["id"], 0):
        data = entry["data"]
        say(_line(entry, data))
        if _rests(data, entry) and entry["sequence"] >= reset["sequence"]:
            reset = daemon.reset(reset["id"])
            if reset["state"] in RESTING:
                break
    return reset


def _watch_live(daemon: Client, reset: Json) -> Json:
    with Live(_picture(reset), console=out, refresh_per_second=4, vertical_overflow="visible") as live:
        if reset["state"] in RESTING:
            return reset
        for entry in daemon.events(reset["id"], reset["sequence"]):
            reset = daemon.reset(reset["id"])
            live.update(_picture(reset))
            if _rests(entry["data"], entry) and reset["state"] in RESTING:
                break
    return reset


def _rests(data: Json, entry: Json) -> bool:
    return data["state"] in RESTING and not any(f".{name}." in entry["type"] for name in _STEP_EVENTS)


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
