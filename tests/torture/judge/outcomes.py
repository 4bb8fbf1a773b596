"""Rules about outcomes: what the daemon says of each attempt at a command, against what the journal saw of it."""

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


def untrue(evidence: Evidence) -> Iterator[Finding]:
    """Find outcomes that are not true, and attempts without an outcome in a reset at rest."""
    by_attempt = Journal(evidence.launches).by_attempt()
    judged = {doubt.attempt for doubt in evidence.doubts}
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


def unknown_but_known(evidence: Evidence) -> Iterator[Finding]:
    """Find attempts that were called unknown for a while, but could have been known.

    Where the outcome was replaced before anybody looked, the container at the end of the round decides: a container
    that runs then, or whose end is told then, was there all the time.
    """
    for doubt in evidence.doubts:
        if doubt.container != "gone":
            yield Finding(
                "known-after-all", f"{doubt.attempt} was called unknown; its container: {doubt.container}"
            )
    not_looked_at = told_unknown(evidence) - {doubt.attempt for doubt in evidence.doubts}
    for reset in evidence.resets.values():
        for attempt in reset["attempts"]:
            replaced = attempt["outcome"] is None or attempt["outcome"]["kind"] != "unknown"
            if not replaced or attempt["id"] not in not_looked_at:
                continue
            if why := _could_be_known(evidence, attempt):
                yield Finding("known-after-all", f"{attempt['id']} was told to be unknown: {why}")


def told_unknown(evidence: Evidence) -> set[str]:
    """The attempts that a status event called unknown."""
    return {
        f"{event.data['resetId']}/{event.data['step']}/{event.data['attempt']}"
        for event in evidence.told
        if event.type.endswith("step-finished.v1") and event.data.get("outcome") == "unknown"
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
            # Where `sh` finds no such program, there is no stand-in to tell the journal of a launch.
            return None if outcome["exitCode"] else "nothing was launched"
        return _ended_so(attempt, launch, outcome["exitCode"])
    if kind == "interrupted" and launch is not None:
        return _was_interrupted(evidence, attempt, launch)
    return None


def _ended_so(attempt: Mapping[str, Any], launch: Launch, code: int) -> str | None:
    """Why the journal contradicts an exit code; None: it has that code, and had it before the daemon said so.

    A daemon that says the code before the command has ended has guessed.
    """
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
    """Why the journal contradicts an interruption; None: the command was killed, or its container was.

    A command that a cancel stopped may have ended by itself when the cancel was asked for.
    """
    if launch.killed or (launch.exit_code or 0) >= _BY_SIGNAL or launch.running:
        return None
    running = {identifier.partition("://")[2] or identifier for identifier in evidence.containers}
    if launch.container_id not in running:
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
