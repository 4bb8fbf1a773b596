"""Resets and plans in words: what a person reads of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from daemon.cli.output import Column, note, say, table

Json = dict[str, Any]


def waits_for(reset: Json) -> str:
    """What it waits for, or why it stopped; empty for one that goes on."""
    waiting = reset.get("waitingFor")
    if waiting:
        return f"{waiting['reason']}: {waiting['detail']}"
    approvals = reset.get("approvals") or {}
    if reset["state"] == "awaiting-approval":
        return f"approval: {len(approvals.get('given', ()))} of {approvals.get('required')}"
    return str(reset.get("cause") or "")


def age(moment: str | None) -> str:
    """How long ago, in the largest unit that fits."""
    if not moment:
        return ""
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{max(0, seconds)}s"


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
    """One reset: what it is, where it stands, its steps, the next step to take."""
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
    """Its steps with state, attempts, outcome."""
    table(
        ["STEP", "STATE", "ATTEMPTS", "TOOK", "OUTCOME"],
        [
            [
                step["name"],
                step["state"],
                step["attempts"] or "",
                # What an attempt before came to says nothing of the one that runs.
                *(("", "") if step["state"] == "running" else (took(reset, step), outcome(step))),
            ]
            for step in reset["steps"]
        ],
    )


def took(reset: Json, step: Json) -> str:
    """Seconds of the step's last attempt that ended."""
    ended = [one for one in reset["attempts"] if one["step"] == step["name"] and one["finishedAt"]]
    if not ended:
        return ""
    last = ended[-1]
    seconds = datetime.fromisoformat(last["finishedAt"]) - datetime.fromisoformat(last["startedAt"])
    return f"{seconds.total_seconds():.1f}s"


def outcome(step: Json) -> str:
    """Why the last attempt did not succeed."""
    last = step.get("outcome")
    if not last or last["kind"] == "succeeded":
        return ""
    code = f" (exit code {last['exitCode']})" if last.get("exitCode") is not None else ""
    return f"{last.get('cause') or last['kind']}{code}"


def next_step(reset: Json) -> str | None:
    """The command that a person would type next, where there is one."""
    name = reset["reference"]
    match reset["state"]:
        case "awaiting-approval":
            return f"resetd approve {name}   (somebody other than {', '.join(reset['requestedBy'])})"
        case "failed":
            return f"resetd logs {name} {reset['stoppedAt'] or ''}; then resetd resume {name}".replace(
                "  ", " "
            )
        case "needs-operator":
            return _for_operator(reset)
        case "cancelled" if reset["destroyed"]:
            return f"resetd resume {name}, or ask for a new one"
        case "done" | "planned" | "rejected" | "denied" | "rolled-back" | "cancelled":
            return None
        case _:
            return f"resetd watch {name}"


def _for_operator(reset: Json) -> str:
    name = reset["reference"]
    unknown = [step["name"] for step in reset.get("steps") or () if step["state"] == "unknown"]
    if unknown:
        return f"resetd resolve {name} {unknown[0]} succeeded|failed, once you know"
    match reset["cause"]:
        case "no-progress":
            return f"resetd resume {name}, once the daemon's log says why it did not get on"
        case "state-restored":
            return f"resetd resume {name} --force, once nothing of it runs; or resetd cancel {name}"
        case _:
            return f"resetd resume {name}, once nothing of it runs; or resetd cancel {name}"


def last_words(reset: Json) -> str:
    """Where it stands, why, and the next step, in a few lines."""
    first = [f"{reset['reference']} is {reset['state']}", waits_for(reset), reset.get("detail")]
    lines = [": ".join(str(word) for word in first if word)]
    lines += [reset["hint"]] if reset.get("hint") else []
    following = next_step(reset)
    lines += [f"next: {following}"] if following else []
    return "\n  ".join(lines)


def show_plan(plan: Json) -> None:
    """A plan: steps in order, what they touch and who shares it, warnings."""
    say(f"{plan['mode']} of {plan['environment']}: {len(plan['steps'])} steps, catalog {plan['catalog']}")
    say(f"plan {plan['hash']}")
    say("")
    table(
        ["#", "STEP", "WHAT"],
        [[at, step["name"], _what(step)] for at, step in enumerate(plan["steps"], 1)],
    )
    say("")
    table(
        ["TOUCHES", "NAME", "USED BY", "PROTECTED"],
        [
            [
                one["kind"],
                one["name"],
                ", ".join(one["users"]),
                one["protectedBecause"] or one["protected"] or "",
            ]
            for one in plan["resources"]
        ],
    )
    if plan["approvalsRequired"]:
        say(f"\nneeds {plan['approvalsRequired']} approval(s), by others than who asks")
    for warning in plan["warnings"]:
        note(f"warning: {warning}")


def _what(step: Json) -> str:
    argv = step["argv"]
    what = " ".join(argv) or step["kind"].replace("-", " ")
    if argv[:2] == ["sh", "-c"]:
        what = str(argv[2]) if len(argv) == 3 else f"{argv[2]}  with {' '.join(argv[4:])}"  # noqa: PLR2004
    return f"{what}  (destructive)" if step["destructive"] else what


def _mode(request: Json) -> str:
    others = [f"{service}={mode}" for service, mode in (request.get("serviceModes") or {}).items()]
    only = request.get("services")
    more = [*others, *(request.get("options") or ()), *(f"only {', '.join(only)}" for _ in "x" if only)]
    return str(request["mode"]) + (f" ({'; '.join(more)})" if more else "")


def _approvals(approvals: Json) -> str | None:
    if not approvals["required"]:
        return None
    who = ", ".join(one["actor"] for one in approvals["given"]) or "nobody yet"
    until = f", until {approvals['expiresAt']}" if approvals["expiresAt"] else ""
    return f"{len(approvals['given'])} of {approvals['required']} ({who}){until}"
