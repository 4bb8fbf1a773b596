"""The people who are asked for their consent: they answer as the script has it, and what was accepted is noted."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tests.torture.judge.evidence import Acted
from tests.torture.script.people import Reply, Which, replies

_ASKS = "awaiting-approval"
_NO_PLAN = "sha256:" + "0" * 64


@dataclass
class _Due:
    at: float
    reset: str
    reply: Reply
    plan: str
    environment: str


class Approvers:
    """The approvers of one round. `post` calls the API in somebody's name."""

    def __init__(self, post: Callable[..., httpx.Response]) -> None:
        self._post = post
        self._asked: dict[str, list[str]] = {}
        self._plans: dict[str, list[str]] = {}
        self._due: list[_Due] = []
        self.acted: list[Acted] = []
        """Approvals and denials that were accepted, or may have been."""

    def see(self, reset: Mapping[str, Any], name: str, requesters: Collection[str]) -> None:
        """Look at a reset, which was asked for as `name`: where it asks anew, replies to it come in their time."""
        identifier, plan = reset["id"], reset["planHash"]
        known = self._plans.setdefault(identifier, [])
        if plan is not None and plan not in known:
            known.append(plan)
        asking = str(reset["approvals"]["expiresAt"])
        asked = self._asked.setdefault(identifier, [])
        if reset["state"] != _ASKS or asking in asked:
            return
        said = replies(name, len(asked), reset["approvals"]["required"], requesters)
        asked.append(asking)
        former = known[-2] if len(known) > 1 else _NO_PLAN
        hashes = {Which.PRESENT: plan, Which.FORMER: former, Which.NONE: _NO_PLAN}
        now = time.monotonic()
        self._due += [
            _Due(now + one.after, identifier, one, hashes[one.plan], reset["environment"]) for one in said
        ]

    def answer(self) -> None:
        """Say what is due; what no daemon takes now is said again by the next call."""
        now = time.monotonic()
        for due in sorted((one for one in self._due if one.at <= now), key=lambda one: one.at):
            if self._say(due):
                self._due.remove(due)

    def _say(self, due: _Due) -> bool:
        at, reply = time.time(), due.reply
        agrees = {"planHash": due.plan, "confirm": due.environment}
        body = agrees if reply.act == "approve" else {"reason": "torture: not this one"}
        try:
            answer = self._post(f"/resets/{due.reset}/{reply.act}", body, by=reply.by)
        except httpx.ConnectError:
            return False
        except httpx.TransportError:
            # The daemon may have taken it before the call broke off.
            self._note(at, due)
            return False
        if answer.is_server_error:
            self._note(at, due)
            return False
        if answer.status_code == httpx.codes.ACCEPTED:
            self._note(at, due)
        return True

    def _note(self, at: float, due: _Due) -> None:
        self.acted.append(
            Acted(
                at,
                due.reset,
                due.reply.act,
                actor=due.reply.by,
                plan_hash=due.plan if due.reply.act == "approve" else None,
                answered_at=time.time(),
            )
        )
