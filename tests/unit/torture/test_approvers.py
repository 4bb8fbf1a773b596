"""What people say is noted as far as a daemon may have taken it, and said again where none did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.torture.script import people
from tests.torture.script.people import Reply, Which
from tests.torture.script.script import Say, Subject, Uses
from tests.torture.stand import approvers
from tests.torture.stand.approvers import Approvers
from tests.torture.stand.speakers import Speakers

KEY = "database/7001/ui-builder"
WORD = Say(
    0.0, "ben", "confirm", "ui-builder-api", Subject.SERVICE, Uses.TRUE, lasts=60.0, withdrawn_after=0.0
)


def asking(plan: str = "sha256:a", expires: str = "soon") -> dict[str, Any]:
    approvals = {"required": 1, "expiresAt": expires}
    return {
        "environment": "qa-sandbox",
        "id": "r1",
        "state": "awaiting-approval",
        "planHash": plan,
        "approvals": approvals,
    }


class Api:
    """Answers calls one after the other, and keeps them."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[str, dict[str, Any], str]] = []

    def post(self, path: str, body: dict[str, Any], *, by: str) -> httpx.Response:
        self.calls.append((path, body, by))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer, json={"id": "w1"})


def nothing(_: str) -> list[dict[str, Any]]:
    return []


@pytest.fixture
def one_reply(monkeypatch: pytest.MonkeyPatch) -> Callable[[Reply], None]:
    def set_to(reply: Reply) -> None:
        monkeypatch.setattr(approvers, "replies", lambda *_: (reply,))

    return set_to


def answered(api: Api, *resets: dict[str, Any], times: int = 1) -> Approvers:
    made = Approvers(api.post)
    for reset in resets:
        made.see(reset, "tag", [])
    for _ in range(times):
        made.answer()
    return made


def test_a_reset_is_answered_once_for_each_time_that_it_asks(one_reply: Callable[[Reply], None]) -> None:
    one_reply(Reply(0.0, "ben"))
    api = Api(202, 202)
    made = answered(api, asking(), asking(), asking(expires="later"), times=2)
    assert api.calls == [("/resets/r1/approve", {"planHash": "sha256:a", "confirm": "qa-sandbox"}, "ben")] * 2
    assert [(act.actor, act.plan_hash) for act in made.acted] == [("ben", "sha256:a")] * 2


def test_another_plan_is_the_one_that_the_reset_had_before(one_reply: Callable[[Reply], None]) -> None:
    one_reply(Reply(0.0, "fay", plan=Which.FORMER))
    api = Api(409, 409)
    assert answered(api, asking(), asking("sha256:b", "later")).acted == []
    none, former = (call[1]["planHash"] for call in api.calls)
    assert (none.strip("0"), former) == ("sha256:", "sha256:a")


def test_what_no_daemon_took_is_said_again(one_reply: Callable[[Reply], None]) -> None:
    one_reply(Reply(0.0, "ben"))
    api = Api(httpx.ConnectError("away"), 202)
    assert len(answered(api, asking(), times=2).acted) == 1
    assert len(api.calls) == 2


@pytest.mark.parametrize("lost", [httpx.ReadError("broken off"), 503])
def test_what_may_have_been_taken_is_noted_and_said_again(
    one_reply: Callable[[Reply], None], lost: int | Exception
) -> None:
    one_reply(Reply(0.0, "ben"))
    made = answered(Api(lost, 409), asking(), times=2)
    assert [act.actor for act in made.acted] == ["ben"]


def test_nobody_answers_a_reset_that_asks_nothing() -> None:
    api = Api()
    answered(api, asking() | {"state": "queued"})
    assert api.calls == []
    assert people.replies("s", 9, 1, ()) == ()


def test_a_word_is_kept_with_when_it_ends_and_when_it_was_taken_back() -> None:
    api = Api(201, 201)
    speakers = Speakers(api.post, nothing, {"ui-builder-api": KEY})
    speakers.say(WORD)
    (word,) = speakers.words
    assert (word.id, word.by, word.service, word.expires_at - word.given_at) == (
        "w1",
        "ben",
        "ui-builder-api",
        60.0,
    )
    speakers.withdraw()
    assert speakers.words[0].ended_at < word.expires_at
    assert [call[0] for call in api.calls] == [
        "/protected/los-demo-production/ui-builder-api/confirm",
        "/protected/w1/forget",
    ]
    assert api.calls[0][1]["uses"] == [KEY]


def test_a_refused_word_is_none_and_one_whose_answer_was_lost_may_be_one() -> None:
    speakers = Speakers(Api(403).post, nothing, {"ui-builder-api": KEY})
    speakers.say(WORD)
    assert speakers.words == []
    speakers = Speakers(Api(httpx.ReadError("broken off"), 503).post, nothing, {"ui-builder-api": KEY})
    for _ in range(2):
        with pytest.raises(httpx.TransportError):
            speakers.say(WORD)
    assert [word.id for word in speakers.words] == [None, None]


def test_a_word_that_no_daemon_took_for_sure_is_to_be_said_again() -> None:
    speakers = Speakers(Api(httpx.ConnectError("away")).post, nothing, {"ui-builder-api": KEY})
    with pytest.raises(httpx.ConnectError):
        speakers.say(WORD)
    assert speakers.words == []


class ApiOfWords:
    """Has two words in force; each call to end one gets the next of the answers."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.in_force = ["w1", "w2"]

    def get(self, path: str) -> list[dict[str, Any]]:
        remembered = {"id": f"los-demo-production/{KEY}", "what": "remembered", "inForce": True}
        ended = {"id": "w0", "what": "forget", "inForce": False}
        in_force = [{"id": word, "what": "confirm", "inForce": True} for word in self.in_force]
        return [remembered, ended, *in_force] if path == "/protected" else []

    def post(self, path: str, body: dict[str, Any], *, by: str) -> httpx.Response:
        _, _, word, verb = path.split("/")
        assert (verb, by, list(body)) == ("forget", "cleo", ["reason"])
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if answer == httpx.codes.CREATED:
            self.in_force.remove(word)
        return httpx.Response(answer)


def test_words_of_former_rounds_are_taken_back_until_none_is_in_force() -> None:
    api = ApiOfWords(201, httpx.ReadError("broken off"), 503, 201)
    Speakers(api.post, api.get, {"ui-builder-api": KEY}).withdraw_former()
    assert (api.in_force, api.answers) == ([], [])
