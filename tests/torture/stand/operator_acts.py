"""What an operator does about resets that stopped: resolves steps by what the JOURNAL says, and resumes.

The operator is careful: nothing is resolved while a command of the reset runs, and a reset is resumed three times at
most.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from sandbox.journal import Journal
from tests.torture.judge.evidence import Acted
from tests.torture.script.people import FAY, OPERATOR
from tests.torture.script.script import Again

_TRIES = 3
_OVER = frozenset({"superseded"})
_NOBODY_AGREED = "approval-expired"
"""Why a reset was cancelled that people let wait. Asking them again and again only takes time."""
_EMPTY = "tables-empty"
"""Why a reset failed that found a table empty which was learned to have rows."""
Post = Callable[..., httpx.Response]


class Operator:
    """The operator of one round."""

    def __init__(self, post: Post, again: Again) -> None:
        self._post = post
        self._again = again
        self._tries: Counter[str] = Counter()
        self.acted: list[Acted] = []

    def attend(self, reset: Mapping[str, Any], journal: Journal) -> bool:
        """Do what is to be done about a stopped reset; returns whether the reset may go on because of that.

        Raises:
            httpx.TransportError: no daemon answers now.
        """
        identifier, state = reset["id"], reset["state"]
        goes_on = state in {"failed", "needs-operator"} or (
            state == "cancelled" and self._again.cancelled and reset["destroyed"]
        )
        if not goes_on or reset["cause"] in _OVER:
            return False
        if reset["unreadActs"]:
            return True
        if self._tries[identifier] >= (1 if reset["cause"] == _NOBODY_AGREED else _TRIES):
            return False
        unknown = [step["name"] for step in reset["steps"] if step["state"] == "unknown"]
        if state == "needs-operator" and unknown:
            return self._resolve(reset, unknown[0], journal)
        self._tries[identifier] += 1
        if state == "failed" and reset["cause"] == _EMPTY:
            return self._accept(reset)
        if state == "needs-operator" and any(step["state"] == "running" for step in reset["steps"]):
            # What runs has to end before the reset goes on with new dumps.
            return self.act(identifier, "cancel", reason="torture: end what runs")
        anew: dict[str, Any] = {"replan": True} if self._again.replan and self._tries[identifier] > 1 else {}
        return self.act(identifier, "resume", reason="torture: go on", **anew)

    def act(
        self,
        identifier: str,
        kind: str,
        *,
        by: str = OPERATOR.subject,
        **body: Any,  # noqa: ANN401 - JSON
    ) -> bool:
        """Ask for an act on a reset; returns whether the daemon accepted it."""
        at, step = time.time(), body.get("step") or body.get("from")

        def note() -> None:
            told = Acted(at, identifier, kind, step, body.get("outcome"), by, answered_at=time.time())
            self.acted.append(told)

        try:
            answer = self._post(f"/resets/{identifier}/{kind}", body, by=by)
        except httpx.ConnectError:
            raise
        except httpx.TransportError:
            if kind == "accept":
                # The daemon may have taken it before the call broke off.
                note()
            raise
        if answer.status_code != httpx.codes.ACCEPTED:
            return False
        note()
        return True

    def _accept(self, reset: Mapping[str, Any]) -> bool:
        """Accept that tables are empty.

        Of a protected reset that was the operator's own somebody else has to. Of one that only an event asked for the
        operator can do so once, and somebody else has to do so, too.
        """
        stopped = next(step for step in reset["steps"] if step["name"] == reset["stoppedAt"])
        check = ((stopped["outcome"] or {}).get("facts", {}).get("unmet") or ["none"])[0]
        said = {"check": check, "reason": "torture: so be it"}
        return any(self.act(reset["id"], "accept", by=who.subject, **said) for who in (OPERATOR, FAY))

    def _resolve(self, reset: Mapping[str, Any], step: str, journal: Journal) -> bool:
        attempts = [attempt["id"] for attempt in reset["attempts"] if attempt["step"] == step]
        launches = [launch for launch in journal.outermost() if launch.attempt in attempts]
        if any(launch.running for launch in launches):
            return True
        well = bool(launches) and launches[-1].exit_code == 0
        said = "torture: the journal says so"
        # The daemon takes no word for the success of a step that has to succeed: that is called failed, and runs again.
        return (
            well and self.act(reset["id"], "resolve", step=step, outcome="succeeded", reason=said)
        ) or self.act(reset["id"], "resolve", step=step, outcome="failed", reason=said)
