"""The people who give words about the protected environment, and take them back; and what they said."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx

from tests.integration.stand.waiting import wait_for
from tests.torture.judge.evidence import Word
from tests.torture.script.people import CLEO
from tests.torture.script.protection import DATABASES, PRODUCTION
from tests.torture.script.script import Say, Subject, Uses

_WITHDRAWN_WITHIN = 60.0
_WORDS = {"confirm", "forget"}


@dataclass
class _ToWithdraw:
    at: float
    word: str


class Speakers:
    """The words of one round.

    `post` calls the API in somebody's name, `get` reads it; `keys` are the production's databases, by service.
    """

    def __init__(
        self, post: Callable[..., httpx.Response], get: Callable[[str], Any], keys: Mapping[str, str]
    ) -> None:
        self._post = post
        self._get = get
        self._keys = keys
        self._to_withdraw: list[_ToWithdraw] = []
        self.words: list[Word] = []
        """Words that were accepted, or may have been."""

    def withdraw_former(self) -> None:
        """Take back all words in force: rounds share a state, and this round's judge knows only this round's words.

        Raises:
            AssertionError: some are still in force after a minute.
        """
        wait_for(self._none_in_force, "no word of a former round is in force", within=_WITHDRAWN_WITHIN)

    def _none_in_force(self) -> bool:
        try:
            entries = self._get("/protected") or ()
            words = [entry["id"] for entry in entries if entry["what"] in _WORDS and entry["inForce"]]
            for word in words:
                self._forget(word)
        except httpx.TransportError:
            return False
        return not words

    def _forget(self, word: str) -> httpx.Response:
        return self._post(f"/protected/{word}/forget", {"reason": "torture: true no more"}, by=CLEO.subject)

    def say(self, said: Say) -> None:
        """Give a word; one that is refused was said, too.

        Raises:
            httpx.TransportError: no daemon took it for sure; it is to be said again.
        """
        at = time.time()
        ends = at + said.lasts
        scope = self._scope(said)
        body: dict[str, Any] = {
            "reason": "torture: it is down",
            "expiresAt": datetime.fromtimestamp(ends, UTC).isoformat(),
        }
        if said.verb == "confirm" and said.uses is Uses.TRUE:
            # In the first rounds of a state the daemon has not seen it yet.
            body |= {"uses": [self._keys[said.service]], "unseen": True}
        word = Word(
            None,
            said.verb,
            said.by,
            PRODUCTION,
            service=scope.get("service"),
            key=scope.get("key"),
            given_at=at,
            expires_at=ends,
        )
        try:
            answer = self._post(f"/protected/{_text(scope)}/{said.verb}", body, by=said.by)
        except httpx.ConnectError:
            raise
        except httpx.TransportError:
            self.words.append(word)
            raise
        if answer.is_server_error:
            self.words.append(word)
            raise httpx.ReadError("it may have been taken")
        if answer.status_code == httpx.codes.CREATED:
            self.words.append(replace(word, id=answer.json()["id"]))
            if said.withdrawn_after is not None:
                due = time.monotonic() + said.withdrawn_after
                self._to_withdraw.append(_ToWithdraw(due, answer.json()["id"]))

    def withdraw(self) -> None:
        """Take back the words whose time has come; what no daemon takes now is taken back by the next call."""
        for due in [one for one in self._to_withdraw if one.at <= time.monotonic()]:
            try:
                answer = self._forget(due.word)
            except httpx.TransportError:
                continue
            if answer.is_server_error:
                continue
            self._to_withdraw.remove(due)
            ended = time.time()
            self.words = [
                replace(word, ended_at=ended) if word.id == due.word else word for word in self.words
            ]

    def _scope(self, said: Say) -> dict[str, str]:
        match said.subject:
            case Subject.ENVIRONMENT:
                return {}
            case Subject.SERVICE:
                return {"service": said.service}
            case Subject.DATABASE:
                return {"service": said.service, "database": DATABASES[said.service]}
            case Subject.KEY:
                return {"key": self._keys[said.service]}


def _text(scope: Mapping[str, str]) -> str:
    return "/".join((PRODUCTION, *(scope[name] for name in ("key", "service", "database") if name in scope)))
