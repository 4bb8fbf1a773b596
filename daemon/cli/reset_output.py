"""Prints a reset for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from daemon.cli.client import Json
from daemon.cli.durations import age
from daemon.cli.next_step import next_step, waits_for
from daemon.cli.output import Column, say, table

RESET_COLUMNS: Sequence[Column] = (
    ("RESET", lambda row: row["reference"]),
    ("MODE", lambda row: row["request"]["mode"]),
    ("STATE", lambda row: row["state"]),
    ("AGE", lambda row: age(row["createdAt"])),
    ("REQUESTED BY", lambda row: ", ".join(row["requestedBy"])),
    ("WAITS FOR / CAUSE", waits_for),
)
RESET_WIDE: Sequence[Column] = (
    ("ID", lambda row: row["id"]),
    ("CHANNEL", lambda row: row["channel"]),
    ("STOPPED AT", lambda row: row["stoppedAt"]),
    ("REASON", lambda row: row["request"].get("reason")),
)


def show_reset(reset: Json) -> None:
    """Print one reset: what it is, where it stands, its steps, and what to do next."""
    facts = [
        ("reset", f"{reset['reference']}  ({reset['id']})"),
        ("state", reset["state"]),
        ("mode", _mode(reset["request"])),
        (
            "requested by",
            f"{', '.join(reset['requestedBy'])} ({reset['channel']}, {age(reset['createdAt'])} ago)",
        ),
        ("reason", reset["request"].get("reason")),
        ("waits for", waits_for(reset) if reset.get("waitingFor") else None),
        ("approvals", _approvals(reset["approvals"])),
        ("plan", reset["planHash"]),
        ("cause", reset["cause"]),
        ("stopped at", reset["stoppedAt"]),
        ("detail", reset["detail"]),
        ("accepts", _accepts(reset)),
        ("hint", reset["hint"]),
    ]
    for name, value in facts:
        if value:
            say(f"{name + ':':<14}{value}")
    if reset.get("steps"):
        say("")
        step_table(reset)
    following = next_step(reset)
    if following:
        say("")
        say(f"next: {following}")


def step_table(reset: Json) -> None:
    """Print the steps of a reset with their states, attempts and outcomes."""
    table(
        ["STEP", "STATE", "ATTEMPTS", "TOOK", "OUTCOME"],
        [
            [
                step["name"],
                step["state"],
                step["attempts"] or "",
                # The outcome of an earlier attempt says nothing about the one that runs now.
                *(("", "") if step["state"] == "running" else (took(reset, step), outcome(step))),
            ]
            for step in reset["steps"]
        ],
    )


def took(reset: Json, step: Json) -> str:
    """How long the step's last ended attempt took, in seconds; empty where none has ended."""
    ended = [
        attempt for attempt in reset["attempts"] if attempt["step"] == step["name"] and attempt["finishedAt"]
    ]
    if not ended:
        return ""
    last = ended[-1]
    seconds = datetime.fromisoformat(last["finishedAt"]) - datetime.fromisoformat(last["startedAt"])
    return f"{seconds.total_seconds():.1f}s"


def outcome(step: Json) -> str:
    """Why the step's last attempt did not succeed; empty where it did."""
    last = step.get("outcome")
    if not last or last["kind"] == "succeeded":
        return ""
    code = f" (exit code {last['exitCode']})" if last.get("exitCode") is not None else ""
    return f"{last.get('cause') or last['kind']}{code}"


def _mode(request: Json) -> str:
    others = [f"{service}={mode}" for service, mode in (request.get("serviceModes") or {}).items()]
    only = request.get("services")
    more = [*others, *(request.get("options") or ())]
    if only:
        more.append(f"only {', '.join(only)}")
    return str(request["mode"]) + (f" ({'; '.join(more)})" if more else "")


def _approvals(approvals: Json) -> str | None:
    if not approvals["required"]:
        return None
    who = ", ".join(approval["actor"] for approval in approvals["given"]) or "nobody yet"
    until = f", until {approvals['expiresAt']}" if approvals["expiresAt"] else ""
    return f"{len(approvals['given'])} of {approvals['required']} ({who}){until}"


def _accepts(reset: Json) -> str | None:
    """Who has accepted what a learned check found, where it takes more people's word than are there."""
    failed = [step for step in reset.get("steps") or () if step["state"] == "failed" and step.get("outcome")]
    return ", ".join(
        f"{check} {len(kept['by'])} of {kept['required']} ({', '.join(kept['by'])})"
        for step in failed
        for check, kept in step["outcome"].get("facts", {}).get("accepts", {}).items()
    )
