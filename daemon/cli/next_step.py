"""Says where a reset stands, why, and what a person would do next."""

from __future__ import annotations

from daemon.cli.client import Json


def waits_for(reset: Json) -> str:
    """What the reset waits for, or why it stopped. Empty while it goes on."""
    waiting = reset.get("waitingFor")
    if waiting:
        return f"{waiting['reason']}: {waiting['detail']}"
    approvals = reset.get("approvals") or {}
    if reset["state"] == "awaiting-approval":
        return f"approval: {len(approvals.get('given', ()))} of {approvals.get('required')}"
    return str(reset.get("cause") or "")


def next_step(reset: Json) -> str | None:
    """The command that a person would type next; None where there is none."""
    name = reset["reference"]
    match reset["state"]:
        case "awaiting-approval":
            known = [who for who in reset["requestedBy"] if who not in reset.get("claimedBy", ())]
            return (
                f"resetd approve {name}   (somebody other than {', '.join(known)})"
                if known
                else f"resetd approve {name}"
            )
        case "failed" if reset.get("cause") == "tables-empty":
            return f"resetd logs {name} {reset['stoppedAt']}; then resetd resume {name}, or resetd accept {name} CHECK"
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
    """A few lines for people: where the reset stands, why, and the next step."""
    first = [f"{reset['reference']} is {reset['state']}", waits_for(reset), reset.get("detail")]
    lines = [": ".join(str(word) for word in first if word)]
    lines += [reset["hint"]] if reset.get("hint") else []
    following = next_step(reset)
    lines += [f"next: {following}"] if following else []
    return "\n  ".join(lines)
