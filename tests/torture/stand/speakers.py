"""The people who give words about the protected environment, and take them back; and what they said."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx

from tests.torture.judge.evidence import Word
from tests.torture.script.people import CLEO
from tests.torture.script.protection import DATABASES, PRODUCTION
from tests.torture.script.script import Say, Subject, Uses


@dataclass
class _ToWithdraw:
    at: float
    word: str


class Speakers:
    """The words of one round.

    `post` calls the API in somebody's name; `keys` are the production's databases, by service.
    """

    def __init__(self, post: Callable[..., httpx.Response], keys: Mapping[str, str]) -> None:
        self._post = post
        self._keys = keys
        self._to_withdraw: list[_ToWithdraw] = []
        self.words: list[Word] = []
        """Words that were accepted, or may have been."""

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
            body["uses"] = [self._keys[said.service]]
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
                answer = self._post(
                    f"/protected/{due.word}/forget", {"reason": "torture: true no more"}, by=CLEO.subject
                )
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
