"""Evidence made by hand: a round in which all is well, for tests to spoil one thing of."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sandbox.journal import Launch
from tests.torture.judge.evidence import Asked, Dump, Evidence, Session, Told
from tests.torture.judge.judge import judge

RESET = "01a2-reset"
OTHER = "01a2-other"
CORE = "database/7001/los-sandbox"
ELSEWHERE = "database/7002/los-sandbox"
CONTAINER = "containerd://c1"
BEGUN = 1_790_000_000.0
STATES = (
    *("planning", "queued", "quiescing", "backing-up", "migrating-core"),
    *("seeding", "resetting-git", "verifying", "releasing", "done"),
)
WIPE, SEED = "migrate.los-core-api.reset", "seed.los-core-api.system"


def moment(second: float) -> str:
    return datetime.fromtimestamp(BEGUN + second, UTC).isoformat()


def launch(number: int, attempt: str | None, at: float, **more: Any) -> Launch:  # noqa: ANN401 - any field of a launch
    values: dict[str, Any] = {
        "id": number,
        "namespace": "qa-sandbox",
        "pod": "los-core-api-1",
        "container_id": "c1",
        "service": "los-core-api",
        "argv": ("npm", "run", "x"),
        "cwd": "/app",
        "attempt": attempt,
        "start_script": False,
        "pid": number,
        "host_pid": number,
        "depth": 1,
        "parent": None,
        "started": at,
        "started_at": BEGUN + at,
        "ended": at + 1,
        "ended_at": BEGUN + at + 1,
        "exit_code": 0,
    }
    return Launch(**values | more)


def attempt(reset: str, step: str, number: int = 1, **outcome: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    kind: dict[str, Any] = {"kind": "succeeded", "exitCode": 0, "facts": {}}
    return {
        "id": f"{reset}/{step}/{number}",
        "resetId": reset,
        "step": step,
        "number": number,
        "control": {"containerId": CONTAINER},
        "finishedAt": moment(99.0),
        "outcome": kind | outcome,
    }


def told(reset: str, sequence: int, state: str, at: float, **more: Any) -> Told:  # noqa: ANN401 - JSON
    data = {
        "resetId": reset,
        "environment": "qa-sandbox",
        "sequence": sequence,
        "environmentSequence": sequence + (100 if reset == OTHER else 0),
        "state": state,
        "occurredAt": moment(at),
        **more,
    }
    kind = f"com.fuse.environment.reset.{state}.v1"
    return Told(f"{reset}/{sequence}", kind, json.dumps(data).encode(), data)


def story(
    reset: str, states: tuple[str, ...], begin: float = 0.0, plan_hash: str | None = None
) -> tuple[Told, ...]:
    more = {} if plan_hash is None else {"planHash": plan_hash}
    numbered = enumerate(states, start=1)
    return tuple(told(reset, number, state, begin + number, **more) for number, state in numbered)


def plan() -> dict[str, Any]:
    return {
        "resources": [{"key": CORE}],
        "steps": [
            {"name": WIPE, "kind": "command", "idempotent": "never", "destructive": True, "touches": [CORE]},
            {"name": SEED, "kind": "command", "idempotent": "safe", "destructive": True, "touches": [CORE]},
        ],
    }


def reset(identifier: str, attempts: list[dict[str, Any]], state: str = "done") -> dict[str, Any]:
    return {
        "id": identifier,
        "state": state,
        "sequence": len(STATES),
        "requestedBy": [f"tag of {identifier}"],
        "request": {"idempotencyKey": None},
        "attempts": attempts,
        "steps": [],
    }


def well() -> Evidence:
    """A wipe and a seed of the core database, at seconds 5 and 6.5, backed up at second 4."""
    return Evidence(
        asked=(Asked(f"tag of {RESET}", "qa-sandbox"),),
        resets={RESET: reset(RESET, [attempt(RESET, WIPE), attempt(RESET, SEED)])},
        plans={RESET: plan()},
        launches=(launch(1, f"{RESET}/{WIPE}/1", 5.0), launch(2, f"{RESET}/{SEED}/1", 6.5)),
        sessions=(Session(1, CORE), Session(2, CORE)),
        told=story(RESET, STATES),
        dumps=(Dump(RESET, CORE, BEGUN + 4, "abc", proven=True, sha256_on_disk="abc"),),
        containers=frozenset({CONTAINER}),
    )


def rules(evidence: Evidence) -> set[str]:
    """The rules that the evidence breaks."""
    findings = judge(evidence).findings
    assert all(one.line for one in findings), "each rule has a line in the table"
    return {one.rule for one in findings}


def with_attempts(*attempts: dict[str, Any], **more: Any) -> Evidence:  # noqa: ANN401 - any field of the evidence
    """All well but for these attempts in the place of the real ones."""
    evidence = well()
    return replace(evidence, resets={RESET: reset(RESET, list(attempts))}, **more)
