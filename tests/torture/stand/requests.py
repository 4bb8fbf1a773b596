"""The requests of one round, and the resets that they led to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx

from schemas.publish import ResetRequested
from tests.torture.judge.evidence import Asked
from tests.torture.judge.state_order import AT_REST, OVER
from tests.torture.script.protection import PROTECTED
from tests.torture.script.script import Ask
from tests.torture.stand.stand import Stand


class Requests:
    """Makes requests through a stand.

    `asked` are the acknowledged requests; `resets` are their resets as they were last seen, by id.
    """

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self.asked: list[Asked] = []
        self.resets: dict[str, dict[str, Any]] = {}
        self.plans: dict[str, dict[str, Any]] = {}
        """Plans of the resets as they were seen on the way, by hash."""

    def ask(self, ask: Ask) -> None:
        """Make a request by Kafka or by HTTP.

        Raises:
            httpx.HTTPError, UndeliveredError: it was not acknowledged; it may be made again.
        """
        if not ask.readable:
            self._stand.publisher.send(
                self._stand.topics["requests"], ask.environment.encode(), b"{" + ask.tag.encode(), ()
            )
            self._stand.publisher.flush()
            self.asked.append(Asked(ask.tag, ask.environment, readable=False))
        elif ask.http:
            self._ask_by_http(ask)
        else:
            wanted = ResetRequested(
                environment=ask.environment,
                requested_by=ask.tag,
                mode=ask.mode,
                services=ask.services or None,
                options=ask.options,
                git=ask.git,
                dry_run=ask.dry_run,
            )
            for _ in range(ask.copies):
                self._stand.publisher.publish(wanted, event_id=ask.tag)
            self.asked.append(Asked(ask.tag, ask.environment))

    def _ask_by_http(self, ask: Ask) -> None:
        body = {
            "environment": ask.environment,
            "mode": ask.mode.value,
            "services": list(ask.services) or None,
            "options": [option.value for option in ask.options],
            "git": ask.git,
            "dryRun": ask.dry_run,
            # A request that is made again after a broken call is the same request.
            "idempotencyKey": ask.tag,
        }
        answer = self._stand.post("/resets", body, by=ask.by)
        if answer.status_code == httpx.codes.ACCEPTED:
            self.asked.append(Asked(ask.tag, ask.environment, answer.json()["id"], by=ask.by))

    def moving(self) -> Iterator[str]:
        """Describe each request without a reset, and each reset that is not at rest."""
        self._list()
        for request in self.asked:
            if request.readable and self.find(request) is None:
                yield f"{request.tag} for {request.environment}: no reset yet"
        for identifier in list(self.resets):
            reset = self._stand.get(f"/resets/{identifier}")
            if reset is None:
                yield f"{identifier} is gone"
                continue
            self.resets[identifier] = reset
            self._keep_plan(reset)
            if reset["state"] not in AT_REST:
                yield f"{identifier} is {reset['state']}, waits for {reset['waitingFor']}"
            elif reset["state"] not in OVER and reset["unreadActs"]:
                yield f"{identifier} is {reset['state']}, and an act is still to be read"

    def waits_for_people(self) -> bool:
        """Whether a reset that may need people's consent is on its way."""
        for asked in self.asked:
            if asked.environment in PROTECTED and asked.readable:
                found = self.find(asked)
                if found is None or found["state"] not in AT_REST:
                    return True
        return False

    def requesters(self, identifier: str) -> list[str]:
        """The subjects whose tokens asked for a reset."""
        return sorted({asked.by for asked in self.asked if asked.reset_id == identifier and asked.by})

    def name(self, identifier: str) -> str:
        """The name of the request that led to a reset."""
        found = (asked.tag for asked in self.asked if self._answers(asked, identifier))
        return next(found, identifier)

    def _keep_plan(self, reset: dict[str, Any]) -> None:
        if reset["planHash"] is not None and reset["planHash"] not in self.plans:
            plan = self._stand.get(f"/resets/{reset['id']}/plan")
            if plan is not None:
                self.plans[plan["hash"]] = plan

    def _answers(self, asked: Asked, identifier: str) -> bool:
        known = self._known(asked)
        return known is not None and known["id"] == identifier

    def _list(self) -> None:
        tags = {request.tag for request in self.asked}
        known = {request.reset_id for request in self.asked}
        for reset in self._stand.get("/resets?limit=100")["items"]:
            by = {*reset["requestedBy"], reset["request"].get("idempotencyKey")}
            if reset["id"] in known or tags & by:
                self.resets.setdefault(reset["id"], reset)

    def find(self, asked: Asked) -> dict[str, Any] | None:
        """Find the reset of a request; None while there is none."""
        if self._known(asked) is None:
            self._list()
        return self._known(asked)

    def _known(self, asked: Asked) -> dict[str, Any] | None:
        for reset in self.resets.values():
            if reset["id"] == asked.reset_id or asked.tag in reset["requestedBy"]:
                return reset
        return None
