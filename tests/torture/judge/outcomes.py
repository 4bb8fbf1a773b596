"""What the daemon says of each attempt at a command, against what the journal saw of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.journal import Journal, Launch
from tests.torture.judge.evidence import Evidence
from tests.torture.judge.finding import Finding
from tests.torture.judge.launches import planned, seconds
from tests.torture.judge.state_order import AT_REST

_BY_SIGNAL = 128
_NOTHING_TO_DO = "rerun-after-check"


def outcomes(evidence: Evidence) -> Iterator[Finding]:
    """Every attempt has an outcome once its reset is at rest, and every outcome is true."""
    by_attempt = Journal(evidence.launches).by_attempt()
    judged = {one.attempt for one in evidence.doubts}
    for identifier, reset in evidence.resets.items():
        for attempt in reset["attempts"]:
            outcome = attempt["outcome"]
            if outcome is None:
                if reset["state"] in AT_REST:
                    yield Finding(
                        "open-attempt", f"{attempt['id']}: {reset['state']}, and without an outcome"
                    )
                continue
            if outcome["kind"] == "unknown" and attempt["id"] in judged:
                continue
            step = planned(evidence, identifier, attempt["step"])
            if step.get("kind", "command") != "command" or "resolvedBy" in outcome.get("facts", {}):
                continue
            launches = by_attempt.get(attempt["id"], ())
            if wrong := _wrong(evidence, attempt, outcome, step, launches[0] if launches else None):
                rule = "known-after-all" if outcome["kind"] == "unknown" else "false-claim"
                yield Finding(rule, f"{attempt['id']} is called {outcome}: {wrong}")


def doubts(evidence: Evidence) -> Iterator[Finding]:
    """What was called unknown for a while and could have been known.

    Where it was replaced before anybody looked, by what is left of its container at the end: one that runs then, or
    whose end is told then, did not come back.
    """
    for one in evidence.doubts:
        if one.container != "gone":
            yield Finding(
                "known-after-all", f"{one.attempt} was called unknown; its container: {one.container}"
            )
    not_looked_at = told_unknown(evidence) - {one.attempt for one in evidence.doubts}
    for reset in evidence.resets.values():
        for attempt in reset["attempts"]:
            replaced = attempt["outcome"] is None or attempt["outcome"]["kind"] != "unknown"
            if not replaced or attempt["id"] not in not_looked_at:
                continue
            if why := _could_be_known(evidence, attempt):
                yield Finding("known-after-all", f"{attempt['id']} was told to be unknown: {why}")


def told_unknown(evidence: Evidence) -> set[str]:
    """Attempts that a status event called unknown."""
    return {
        f"{one.data['resetId']}/{one.data['step']}/{one.data['attempt']}"
        for one in evidence.told
        if one.type.endswith("step-finished.v1") and one.data.get("outcome") == "unknown"
    }


def _wrong(
    evidence: Evidence,
    attempt: Mapping[str, Any],
    outcome: Mapping[str, Any],
    step: Mapping[str, Any],
    launch: Launch | None,
) -> str | None:
    kind = outcome["kind"]
    if kind == "unknown":
        return _could_be_known(evidence, attempt)
    if outcome.get("facts", {}).get("launched") is False:
        return None if launch is None else f"the journal has {_seen(launch)}"
    if kind == "succeeded":
        if launch is None:
            return None if step.get("idempotent") == _NOTHING_TO_DO else "nothing was launched"
        return _ended_so(attempt, launch, 0)
    if kind == "failed" and outcome.get("exitCode") is not None:
        if launch is None:
            # A command that is no program of the service's (`sh` says so itself) is nobody's launch.
            return None if outcome["exitCode"] else "nothing was launched"
        return _ended_so(attempt, launch, outcome["exitCode"])
    if kind == "interrupted" and launch is not None:
        return _was_interrupted(evidence, attempt, launch)
    return None


def _ended_so(attempt: Mapping[str, Any], launch: Launch, code: int) -> str | None:
    """Whether the journal has that exit code, and had it before anybody said so: who guesses is right at times."""
    if launch.exit_code != code or launch.ended_at is None:
        return f"the journal has {_seen(launch)}"
    if seconds(attempt["finishedAt"]) < launch.ended_at:
        return f"that was said at {attempt['finishedAt']}, when #{launch.id} {launch.command} still ran"
    return None


def _could_be_known(evidence: Evidence, attempt: Mapping[str, Any]) -> str | None:
    control = attempt["control"]
    if control is None:
        return "nothing was launched in a pod"
    if control["containerId"] in evidence.containers:
        return "its container still runs, with its claim and its exit code"
    if control["containerId"] in evidence.ended:
        return "its pod's status tells that its container has ended"
    return None


def _was_interrupted(evidence: Evidence, attempt: Mapping[str, Any], launch: Launch) -> str | None:
    """Killed by a signal, or with its container; what a cancel stopped may have ended when that was asked for."""
    if launch.killed or (launch.exit_code or 0) >= _BY_SIGNAL or launch.running:
        return None
    if launch.container_id not in {one.partition("://")[2] or one for one in evidence.containers}:
        return None
    reset, ended = attempt["resetId"], launch.ended_at or 0.0
    if any(act.reset_id == reset and act.kind == "cancel" and act.at < ended for act in evidence.acted):
        return None
    return f"the journal has {_seen(launch)}"


def _seen(launch: Launch) -> str:
    how = (
        "still running" if launch.running else "killed" if launch.killed else f"exit code {launch.exit_code}"
    )
    return f"#{launch.id} {launch.command}: {how}"
