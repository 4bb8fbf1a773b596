"""What a person does with resets that stopped: says what happened, by what the JOURNAL says, and resumes.

It never asks for more than a careful operator would: nothing is resolved while a command of the reset runs, and a step
that stops three times is left alone.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from sandbox.journal import Journal
from tests.torture.judge.evidence import Acted

_TRIES = 3
_OVER = frozenset({"superseded"})
Post = Callable[[str, dict[str, Any]], httpx.Response]


class Operator:
    """Of one round."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._tries: Counter[str] = Counter()
        self.acted: list[Acted] = []

    def attend(self, reset: Mapping[str, Any], journal: Journal) -> bool:
        """Do what is to be done about a stopped reset; whether it may move because of that.

        Raises:
            httpx.TransportError: no daemon answers now.
        """
        identifier, state = reset["id"], reset["state"]
        if state not in {"failed", "needs-operator"} or reset["cause"] in _OVER:
            return False
        if reset["unreadActs"]:
            return True
        if self._tries[identifier] >= _TRIES:
            return False
        unknown = [one["name"] for one in reset["steps"] if one["state"] == "unknown"]
        if state == "needs-operator" and unknown:
            return self._resolve(reset, unknown[0], journal)
        self._tries[identifier] += 1
        return self.act(identifier, "resume", reason="torture: go on")

    def act(self, identifier: str, kind: str, **body: Any) -> bool:  # noqa: ANN401 - JSON
        """Whether the act was taken down."""
        at = time.time()
        answer = self._post(f"/resets/{identifier}/{kind}", body)
        if answer.status_code != httpx.codes.ACCEPTED:
            return False
        step = body.get("step") or body.get("from")
        self.acted.append(Acted(at, identifier, kind, step, body.get("outcome")))
        return True

    def _resolve(self, reset: Mapping[str, Any], step: str, journal: Journal) -> bool:
        attempts = [one["id"] for one in reset["attempts"] if one["step"] == step]
        launches = [one for one in journal.outermost() if one.attempt in attempts]
        if any(one.running for one in launches):
            return True
        well = bool(launches) and launches[-1].exit_code == 0
        said = "torture: the journal says so"
        # What has to succeed is never taken on a person's word: it is called failed, and runs again.
        return (
            well and self.act(reset["id"], "resolve", step=step, outcome="succeeded", reason=said)
        ) or self.act(reset["id"], "resolve", step=step, outcome="failed", reason=said)
