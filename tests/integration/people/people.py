"""People with tokens: who they are, what they may do, and calls in their name."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.integration.stand.harness import Harness


@dataclass(frozen=True)
class Person:
    """A token's subject, roles and environments."""

    subject: str
    roles: tuple[str, ...]
    environments: tuple[str, ...] = ("*",)
    token: str = field(default_factory=lambda: f"resetd_{secrets.token_urlsafe(24)}")


WATCHER = Person("watcher", ("viewer",))
"""The harness itself: it reads, and can do nothing else."""


def settings(directory: Path, people: Sequence[Person]) -> dict[str, str]:
    """Settings of a daemon in `directory` that knows these people, and lets the harness read."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "operator-token").write_text(WATCHER.token)
    known = [
        {
            "name": f"token of {one.subject}",
            "subject": one.subject,
            "sha256": hashlib.sha256(one.token.encode()).hexdigest(),
            "roles": list(one.roles),
            "environments": list(one.environments),
        }
        for one in (*people, WATCHER)
    ]
    tokens = directory / "tokens.yaml"
    tokens.write_text(yaml.safe_dump(known))
    return {"RESETD_API_TOKENS": str(tokens)}


def call(harness: Harness, person: Person, path: str, **body: Any) -> httpx.Response:  # noqa: ANN401 - JSON
    """POST in the person's name; the answer, whatever its status."""
    headers = {"Authorization": f"Bearer {person.token}"}
    with httpx.Client(base_url=harness.daemon.url, headers=headers, timeout=10.0) as client:
        return client.post(path, json=body)


def act(harness: Harness, person: Person, reference: str, kind: str, **body: Any) -> httpx.Response:  # noqa: ANN401
    """An act on a reset in the person's name. Who approves types the environment's name, unless it gives another."""
    environment, slash, _ = reference.partition("/")
    if kind == "approve" and slash:
        body = {"confirm": environment, **body}
    return call(harness, person, f"/api/v1/resets/{reference}/{kind}", **body)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of the problem that a call was answered with.

    Raises:
        AssertionError: it is no problem of RFC 9457.
    """
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = answer.json()
    assert problem["type"] == f"/problems/{problem['code']}"
    return answer.status_code, problem["code"]
