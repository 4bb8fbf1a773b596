from __future__ import annotations

import json
import logging
import string

import pytest
import structlog
from hypothesis import assume, given
from hypothesis import strategies as st

from daemon.config.logging import redacting, set_up
from daemon.ports.errors import PermanentError
from daemon.redaction import redact, redact_in_place, redact_value
from daemon.redaction.open_ends import masked_end, open_end
from schemas.reasons import Reason

PLAIN = st.text(string.ascii_letters + string.digits + " .,-_\n", max_size=40)
SECRETS = st.text(string.ascii_letters + string.digits + "!$%^*_-+~:/", min_size=12, max_size=60)
TOKENS = st.text(string.ascii_letters + string.digits + "_-", min_size=24, max_size=60)
SHAPES = (
    "postgresql://app:{}@db:5432/los?schema=public",
    "mysql://app:{}@db",
    "https://x-access-token:{}@github.com/fuse/qa-workflows",
)
TOKEN_SHAPES = (
    "Authorization: Bearer {}",
    "authorization: basic {}",
    "https://{}@github.com/x",
    "resetd_{}",
    "token={} next",
    "PGPASSWORD={}",
    "?user=a&password={}&b=c",
    '{{"password": "{}"}}',
    "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
)


@given(before=PLAIN, after=PLAIN, secret=SECRETS, shape=st.sampled_from(SHAPES))
def test_a_password_in_a_url_never_comes_through(before: str, after: str, secret: str, shape: str) -> None:
    assume(secret not in before and secret not in after)
    text = f"{before} {shape.format(secret)} {after}"
    assert secret not in redact(text)
    assert secret not in redact_in_place(text.encode()).decode()


@given(before=PLAIN, after=PLAIN, secret=TOKENS, shape=st.sampled_from(TOKEN_SHAPES))
def test_a_token_never_comes_through(before: str, after: str, secret: str, shape: str) -> None:
    assume(secret not in before and secret not in after)
    text = f"{before} {shape.format(secret)} {after}"
    assert secret not in redact(text)
    assert secret not in redact_in_place(text.encode()).decode()


@given(st.text())
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@given(st.binary(max_size=2000))
def test_in_place_no_offset_and_no_line_break_moves(data: bytes) -> None:
    redacted = redact_in_place(data)
    assert len(redacted) == len(data)
    assert redact_in_place(redacted) == redacted
    assert [at for at, byte in enumerate(redacted) if byte == 10] == [
        at for at, byte in enumerate(data) if byte == 10
    ]


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://app@db/los",
        "RESETD_GITHUB_TOKEN: is set beside it",
        "token: needed",
        "the basic idea of a bearer of news",
        "see https://resetd.example/problems/self-approval",
        "mail ana@example.com",
        "consent-needs-a-token: Protected resources are approved by a person",
    ],
)
def test_what_holds_no_secret_stays_as_it_is(text: str) -> None:
    assert redact(text) == text
    assert redact_in_place(text.encode()) == text.encode()


@pytest.mark.parametrize(
    "piece",
    [
        "a-",
        "://a:",
        "eyJ-",
        "-----BEGIN PRIVATE KEY-----",
        "token=",
        "token='",
        "bearer ",
        "@",
        "eyJaaaaaaaa-",
        "eyJaaaaaaaa.",
    ],
)
def test_hostile_output_takes_no_time(piece: str) -> None:
    hostile = (piece * 30_000)[:65_536].encode()
    redact_in_place(hostile)
    for cut in range(20):
        open_end(hostile[: len(hostile) - cut])
        masked_end(hostile[: len(hostile) - cut])


def test_what_an_adapter_says_of_a_failure_holds_no_secret() -> None:
    error = PermanentError(Reason.DATABASE_UNREACHABLE, "postgresql://app:hunter2-hunter2@db/core refused")
    assert error.detail == "postgresql://app:***@db/core refused"
    assert "hunter2" not in str(error)


def test_values_are_redacted_in_depth() -> None:
    value = {"a": ["postgresql://u:hunter22@h/d", 5, None], "b": {"c": ("x",)}}
    assert redact_value(value) == {"a": ["postgresql://u:***@h/d", 5, None], "b": {"c": ["x"]}}


def test_an_event_of_any_value_is_redacted() -> None:
    event = redacting(None, "info", {"event": "x", "error": ValueError("at postgresql://u:hunter22@h/d")})
    assert event == {"event": "x", "error": "at postgresql://u:***@h/d"}


def test_logs_are_one_json_object_a_line_without_secrets_tracebacks_included(
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        set_up("json", "info")
        try:
            int("postgresql://u:hunter22@h/d")
        except ValueError:
            structlog.get_logger("daemon.test").exception("it.failed", reset="r1")
            logging.getLogger("aiokafka.client").exception("foreign %s", "postgresql://u:hunter22@h/d")
        structlog.get_logger("daemon.test").debug("unseen")
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
    text = capsys.readouterr().err
    first, second = (json.loads(line) for line in text.splitlines())
    assert "hunter22" not in text
    assert (first["event"], first["reset"], first["level"]) == ("it.failed", "r1", "error")
    assert "literal for int() with base 10: 'postgresql://u:***@h/d'" in first["exception"]
    assert second["event"] == "foreign postgresql://u:***@h/d"
