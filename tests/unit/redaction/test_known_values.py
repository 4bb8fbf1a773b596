"""H1: values that have no shape are masked because the daemon knows them, in every form and before any cut."""

from __future__ import annotations

import base64
import json
import shlex
import string
import textwrap
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.adapters.files.logs import FileLogs
from daemon.redaction import known_values, redact, redact_in_place
from daemon.redaction.known_values import KNOWN, KnownValues, secret_values
from schemas.wire import AttemptId

PASSWORD = "tr0ub4dor&3/x y"
URL = f"postgresql://app:{quote(PASSWORD, safe='')}@db.qa-sandbox.svc:5432/los-sandbox?schema=public"


@pytest.fixture(autouse=True)
def known() -> Iterator[KnownValues]:
    before = set(KNOWN._forms)
    KNOWN.learn(secret_values({"DATABASE_URL": URL, "LOG_LEVEL": "production", "NODE_ENV": "development"}))
    yield KNOWN
    KNOWN.forget(set(KNOWN._forms) - before)


FORMS = {
    "alone": PASSWORD,
    "url-encoded": quote(PASSWORD, safe=""),
    "url-encoded in lower case": quote(PASSWORD, safe="").lower(),
    "in JSON": json.dumps({"p": PASSWORD}),
    "for a shell": shlex.quote(PASSWORD),
    "hexadecimal": PASSWORD.encode().hex(),
    "base64": base64.b64encode(PASSWORD.encode()).decode(),
    "base64 of its URL": base64.b64encode(URL.encode()).decode(),
    "base64 behind one other byte": base64.b64encode(b"x" + PASSWORD.encode()).decode(),
    "base64 for URLs behind two": base64.urlsafe_b64encode(b"xy" + PASSWORD.encode() + b"z").decode(),
    "its URL": URL,
    "url-encoded twice": quote(quote(PASSWORD, safe=""), safe=""),
    "in JSON within JSON": json.dumps(json.dumps({"p": PASSWORD})),
    "base64 over lines": "\n".join(textwrap.wrap(base64.b64encode(URL.encode()).decode(), 76)),
    "base64 over short lines": "\r\n".join(textwrap.wrap(base64.b64encode(PASSWORD.encode()).decode(), 8)),
    "hexadecimal over lines": "\n".join(textwrap.wrap(PASSWORD.encode().hex(), 16)),
}


@pytest.mark.parametrize("form", FORMS)
def test_h1_a_value_that_the_daemon_knows_is_masked_in_every_form(form: str) -> None:
    printed = f"connected with {FORMS[form]} as app"
    for masked in (redact(printed), redact_in_place(printed.encode()).decode()):
        for secret in (PASSWORD, quote(PASSWORD, safe=""), FORMS[form]):
            assert secret not in masked
            assert base64.b64encode(PASSWORD[3:].encode()).decode()[:8] not in masked.replace("\n", "")
        assert masked.startswith("connected with ")


def test_h1_line_breaks_within_a_secret_stay_so_that_lines_keep_their_numbers() -> None:
    printed = FORMS["base64 over lines"].encode()
    masked = redact_in_place(printed)
    assert len(masked) == len(printed)
    assert masked.count(b"\n") == printed.count(b"\n")


@pytest.mark.parametrize(
    "value",
    [
        "host=db port=5432 user=app password=hunter2-alone dbname=los-sandbox",
        "host=db password='hunter2-alone' dbname=los-sandbox",
        "Server=db;User Id=app;Password=hunter2-alone;Database=los-sandbox",
        '{"username": "app", "password": "hunter2-alone"}',
        "redis:6379,password=hunter2-alone,ssl=True",
    ],
)
def test_h1_a_part_of_a_value_that_is_printed_alone_is_masked(value: str) -> None:
    found = secret_values({"CONNECTION": value}, from_secrets=["CONNECTION"])
    assert found == {value, "hunter2-alone"}


def test_h1_of_a_whole_secret_what_looks_drawn_is_masked_and_ordinary_words_are_not() -> None:
    drawn = {"STRIPE": "sk_live_4eC39HqLyjWDarjt", "SIGNING": "kH7-pQ2_vX9zzz"}
    ordinary = {
        "NODE_ENV": "production",
        "NODE_VERSION": "20.11.0",
        "HOST": "db-1.qa-sandbox.svc:5432",
        "URL": "https://api-v2.example.com/path",
        "FILE": "/etc/tls/ca-2024.pem",
        "GREETING": "good morning, 2 worlds",
        "POD_NAME": "los-core-api-7d9c5f-abc12",
    }
    found = secret_values(drawn | ordinary, may_be_secret=[*drawn, *ordinary])
    assert found == set(drawn.values())


async def test_h1_a_value_that_comes_in_two_pieces_is_masked_before_it_is_cut(tmp_path: Path) -> None:
    logs, attempt = FileLogs(tmp_path), AttemptId("0190-reset/seed.los-core-api.system/1")
    whole = f"password is {PASSWORD} indeed\n".encode()
    for offset in range(0, len(whole), 5):
        await logs.keep(attempt, offset, whole[offset : offset + 5])
    kept = (await logs.read(attempt, 0, 1000)).decode()
    assert PASSWORD not in kept
    assert kept.startswith("password is ")
    assert len(kept) == len(whole)


def test_h1_names_and_ordinary_values_are_never_masked(known: KnownValues) -> None:
    known.never = frozenset({"los-core-api"})
    known.learn(secret_values({"SERVICE_TOKEN": "los-core-api", "APP_SECRET": "short"}))
    text = "los-core-api in development, production: short; app at db.qa-sandbox.svc, los-sandbox"
    assert redact(text) == text
    known.never = frozenset()


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("JWT_SECRET", True),
        ("GITHUB_TOKEN", True),
        ("STRIPE_API_KEY", True),
        ("PGPASSWORD", True),
        ("SMTP_PASS", True),
        ("AUTH_SALT", True),
        ("PASSWORD_FILE", False),
        ("TOKEN_TTL", False),
        ("MONKEY", False),
        ("KEYCLOAK_REALM", False),
        ("PUBLIC_KEY", False),
    ],
)
def test_h1_variables_that_are_named_like_a_secret_hold_one(name: str, secret: bool) -> None:
    assert (secret_values({name: "some-value-of-it"}) == {"some-value-of-it"}) is secret


def test_h1_a_variable_that_a_secret_gives_is_one_whatever_its_name_is() -> None:
    values = {"GREETING": "good morning, world"}
    assert secret_values(values) == frozenset()
    assert secret_values(values, from_secrets=["GREETING"]) == {"good morning, world"}


@given(st.text(string.printable, min_size=6, max_size=40), st.text(string.ascii_letters, max_size=20))
def test_h1_no_value_survives_raw_encoded_or_in_base64(value: str, around: str) -> None:
    known = KnownValues()
    known.learn([value])
    for form in (value, quote(value, safe=""), value.encode().hex()):
        assert form in known.forms_in(f"{around}{form}{around}")
    encoded = base64.b64encode(f"{around}{value}{around}".encode()).decode()
    assert len(value) < 9 or known.forms_in(encoded)


def test_h1_the_values_whose_use_is_the_longest_ago_are_forgotten_and_none_in_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(known_values, "MOST_VALUES", 4)
    some = KnownValues()
    first, second = (
        [f"first-{number}-of-4" for number in range(2)],
        [f"second-{number}-of-4" for number in range(4)],
    )

    def masked(values: list[str]) -> list[bool]:
        return [bool(some.forms_in(f"<{value}>")) for value in values]

    some.learn([*first, *second[:2]])
    some.learn(first)
    some.learn(second[2:])
    assert (masked(first), masked(second)) == ([True, True], [False, False, True, True])
    with some.in_use(first), some.in_use(first[:1]):
        some.learn(second)
        assert (masked(first), masked(second)) == ([True, True], [False, False, True, True])
        with some.in_use(second):
            # More than are remembered otherwise: whatever runs may print them.
            assert (len(some), masked([*first, *second])) == (6, [True] * 6)
        assert len(some) == 4
    some.learn(second)
    assert masked(first) == [False, False]
    assert some.begun_in_bytes(first[0][:-1].encode()) is None
    some.learn(first)
    assert masked(first) == [True, True]
