"""What each record on the topics becomes: an entry to store, a rejection, a dead letter, or nothing."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.intake.entries import IntakeRules, entry_of
from schemas.intake import DeadLetter, Deprovision, Entry, NewAct, NewRequest
from schemas.reasons import Reason
from schemas.records import Headers, Record
from schemas.requests import Mode
from schemas.resets import ActKind, Channel
from schemas.wire import ResetId

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
RULES = IntakeRules("requests", "environments", "dead-letters", timedelta(hours=24))
REQUESTED = "com.fuse.environment.reset.requested.v1"


def record(
    value: bytes | None, headers: Headers = (), *, topic: str = "requests", at: datetime = NOW
) -> Record:
    return Record(topic, 3, 41, b"qa-sandbox", value, headers, int(at.timestamp() * 1000))


def binary(data: Any, kind: str = REQUESTED, **attributes: str) -> Record:  # noqa: ANN401 - any JSON
    names = {"specversion": "1.0", "id": "e1", "source": "/tests", "type": kind} | attributes
    topic = "environments" if "provisioned" in kind else "requests"
    headers = tuple((f"ce_{name}", text.encode()) for name, text in names.items())
    return record(json.dumps(data).encode(), (*headers, ("content-type", b"application/json")), topic=topic)


def structured(event: dict[str, Any]) -> Record:
    return record(
        json.dumps(event).encode(), (("content-type", b"application/cloudevents+json; charset=utf-8"),)
    )


def read(one: Record) -> Entry | None:
    return entry_of(one, RULES, now=NOW, new_id=ResetId("new"))


def dead(one: Record) -> DeadLetter:
    entry = read(one)
    assert isinstance(entry, DeadLetter), entry
    return entry


ASKED = {"environment": "qa-sandbox", "requestedBy": "ci"}

MOMENTS = st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-02-30T00:00:00Z"])
TEXTS = st.text("a0-/:. \n\x00\x7f\xe9\ud800\U0001f600", max_size=6)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | MOMENTS
ANY_JSON = st.recursive(
    LEAVES, lambda each: st.lists(each, max_size=3) | st.dictionaries(TEXTS, each, max_size=3)
)
FIELDS = [
    *("environment", "requestedBy", "reason", "mode", "services", "serviceModes", "options", "integrations"),
    *("core", "git", "dryRun", "notBefore", "idempotencyKey", "resetId", "request", "sequence"),
]
RESET_TYPES = [f"com.fuse.environment.reset.{verb}-requested.v1" for verb in ("resume", "cancel")]


class TestRequests:
    def test_binary_mode_is_read(self) -> None:
        entry = read(binary(ASKED | {"mode": "wipe"}))
        assert isinstance(entry, NewRequest)
        assert (entry.request.environment, entry.request.mode) == ("qa-sandbox", Mode.WIPE)
        assert (entry.source, entry.event_id, entry.channel) == ("/tests", "e1", Channel.KAFKA)
        assert entry.refused is None

    def test_structured_mode_is_the_same_request(self) -> None:
        event = {"specversion": "1.0", "id": "e1", "source": "/tests", "type": REQUESTED, "data": ASKED}
        assert read(structured(event)) == read(binary(ASKED))

    def test_what_kafkajs_with_cloudevents_really_sends_is_read(self) -> None:
        headers = (
            ("content-type", b"application/json; charset=utf-8"),
            ("ce_id", b"e1"),
            ("ce_time", b"2026-11-23T11:59:00.000Z"),
            ("ce_type", REQUESTED.encode()),
            ("ce_source", b"/portal"),
            ("ce_specversion", b"1.0"),
            ("ce_datacontenttype", b"application/json; charset=utf-8"),
            ("ce_partitionkey", b"qa-sandbox"),
            ("ce_traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        )
        entry = read(record(json.dumps(ASKED).encode(), headers))
        assert isinstance(entry, NewRequest)
        assert entry.trace_parent == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    def test_an_unknown_field_is_rejected_by_name_without_its_value(self) -> None:
        entry = read(binary(ASKED | {"argv": "rm -rf s3cret"}))
        assert isinstance(entry, NewRequest)
        assert entry.refused is Reason.SCHEMA_VIOLATION
        assert "argv" in (entry.refused_detail or "")
        assert "s3cret" not in (entry.refused_detail or "")
        assert entry.request.requested_by == "ci"

    def test_an_integration_that_is_shell_text_is_rejected(self) -> None:
        entry = read(binary(ASKED | {"integrations": ["plaid; rm -rf /"]}))
        assert isinstance(entry, NewRequest)
        assert entry.refused is Reason.SCHEMA_VIOLATION

    def test_an_event_older_than_allowed_is_rejected_by_its_own_time(self) -> None:
        entry = read(binary(ASKED, time="2026-11-22T11:59:59Z"))
        assert isinstance(entry, NewRequest)
        assert entry.refused is Reason.TOO_OLD

    @pytest.mark.parametrize(
        ("time", "refused"),
        [("2026-11-24T12:00:00Z", None), ("2026-11-24T12:00:01Z", Reason.SCHEMA_VIOLATION)],
    )
    def test_an_event_from_a_time_to_come_is_rejected(self, time: str, refused: Reason | None) -> None:
        entry = read(binary(ASKED, time=time))
        assert isinstance(entry, NewRequest)
        assert entry.refused is refused
        assert entry.at == datetime.fromisoformat(time)

    def test_without_a_time_of_its_own_the_records_time_counts(self) -> None:
        old = binary(ASKED)
        entry = read(replace(old, timestamp_ms=int((NOW.timestamp() - 90_000) * 1000)))
        assert isinstance(entry, NewRequest)
        assert entry.refused is Reason.TOO_OLD

    @pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
    def test_a_moment_outside_of_all_years_is_rejected(self, moment: str) -> None:
        entry = read(binary(ASKED | {"notBefore": moment}))
        assert isinstance(entry, NewRequest)
        assert entry.refused is Reason.SCHEMA_VIOLATION
        assert "notBefore" in (entry.refused_detail or "")

    @pytest.mark.parametrize("trace", ["00-\ud800", "00-\x00", "00-é"])
    def test_a_trace_that_no_header_could_carry_is_left_out(self, trace: str) -> None:
        event = {"specversion": "1.0", "id": "e1", "source": "/tests", "type": REQUESTED, "data": ASKED}
        entry = read(structured(event | {"traceparent": trace}))
        assert isinstance(entry, NewRequest)
        assert entry.trace_parent is None

    @pytest.mark.parametrize("by", [None, "", 7, "a\x00b"])
    def test_who_asked_must_be_text(self, by: object) -> None:
        entry = read(binary({"environment": "qa-sandbox", "requestedBy": by}))
        assert isinstance(entry, NewRequest)
        assert (entry.refused, entry.request.requested_by) == (Reason.SCHEMA_VIOLATION, "unknown")


class TestActs:
    def test_a_cancel_names_its_reset_by_the_requests_event(self) -> None:
        data = ASKED | {"request": {"source": "/tests", "id": "e0"}}
        entry = read(binary(data, "com.fuse.environment.reset.cancel-requested.v1"))
        assert isinstance(entry, NewAct)
        assert (entry.act.kind, entry.act.actor, entry.request and entry.request.id) == (
            ActKind.CANCEL,
            "ci",
            "e0",
        )

    def test_an_act_that_names_no_reset_is_a_dead_letter(self) -> None:
        letter = dead(binary(ASKED, "com.fuse.environment.reset.resume-requested.v1"))
        assert letter.reason is Reason.SCHEMA_VIOLATION

    @pytest.mark.parametrize("sequence", [0, 2**31, 10**20])
    def test_a_sequence_that_no_reset_can_have_is_a_dead_letter(self, sequence: int) -> None:
        data = ASKED | {"request": {"source": "/tests", "id": "e0"}, "sequence": sequence}
        letter = dead(binary(data, "com.fuse.environment.reset.resume-requested.v1"))
        assert letter.reason is Reason.SCHEMA_VIOLATION

    def test_approval_does_not_come_by_kafka(self) -> None:
        letter = dead(binary(ASKED, "com.fuse.environment.reset.approve-requested.v1"))
        assert letter.reason is Reason.UNKNOWN_TYPE


class TestEnvironments:
    def test_a_provisioned_environment_asks_for_one_refresh(self) -> None:
        data = {"environment": "qa-sandbox", "provisionedBy": "pipeline"}
        entry = read(binary(data, "com.fuse.environment.provisioned.v1"))
        assert isinstance(entry, NewRequest)
        assert (entry.channel, entry.request.mode) == (Channel.PROVISIONING, Mode.REFRESH)

    def test_a_deprovisioned_one_cancels_what_waits(self) -> None:
        entry = read(binary({"environment": "qa-sandbox"}, "com.fuse.environment.deprovisioned.v1"))
        assert isinstance(entry, Deprovision)

    def test_other_events_on_their_topic_are_ignored(self) -> None:
        entry = read(binary({"environment": "qa-sandbox"}, "com.fuse.environment.provisioned.v9"))
        assert entry is None


class TestDeadLetters:
    @pytest.mark.parametrize(
        ("one", "reason"),
        [
            (record(None), Reason.NOT_A_CLOUD_EVENT),
            (record(b"{}"), Reason.NOT_A_CLOUD_EVENT),
            (record(b"\xff\xfe\x00garbage"), Reason.NOT_A_CLOUD_EVENT),
            (
                structured({"specversion": "0.3", "id": "1", "source": "/s", "type": REQUESTED}),
                Reason.NOT_A_CLOUD_EVENT,
            ),
            (structured({"specversion": "1.0", "id": "1", "source": "/s"}), Reason.NOT_A_CLOUD_EVENT),
            (structured({"specversion": "1.0", "id": "1", "source": "/s", "type": "x"}), Reason.UNKNOWN_TYPE),
            (structured({"specversion": "1.0", "source": "/s", "type": REQUESTED}), Reason.NOT_A_CLOUD_EVENT),
            (
                structured({"specversion": "1.0", "id": "1", "source": "/s", "type": REQUESTED}),
                Reason.ENVIRONMENT_MISSING,
            ),
            (binary(ASKED, "com.fuse.other.v1"), Reason.UNKNOWN_TYPE),
            (binary({"requestedBy": "ci"}), Reason.ENVIRONMENT_MISSING),
            (binary({"environment": 7}), Reason.ENVIRONMENT_MISSING),
            (binary([1, 2]), Reason.ENVIRONMENT_MISSING),
            (binary(ASKED, id="\n"), Reason.NOT_A_CLOUD_EVENT),
            (record(b"x" * 300_000), Reason.TOO_LARGE),
            (binary(ASKED, time="0001-01-01T00:00:00+14:00"), Reason.NOT_A_CLOUD_EVENT),
            (binary(ASKED, time="9999-12-31T23:59:59-14:00"), Reason.NOT_A_CLOUD_EVENT),
            (replace(binary(ASKED), timestamp_ms=10**15), Reason.NOT_A_CLOUD_EVENT),
            (replace(binary(ASKED), timestamp_ms=-(2**63)), Reason.NOT_A_CLOUD_EVENT),
        ],
    )
    def test_what_can_not_be_read_is_one_with_its_reason(self, one: Record, reason: Reason) -> None:
        assert dead(one).reason is reason

    @pytest.mark.parametrize("value", [b"{", b"\xff\xfe{}", b"[" * 100_000, b'{"a": NaN'])
    def test_broken_json_is_called_that(self, value: bytes) -> None:
        headers = tuple(binary(ASKED).headers)
        assert dead(record(value, headers)).reason is Reason.MALFORMED_JSON

    def test_a_mistake_of_our_own_costs_the_record_its_reading_and_nothing_else(self) -> None:
        without_a_zone = NOW.replace(tzinfo=None)
        entry = entry_of(binary(ASKED), RULES, now=without_a_zone, new_id=ResetId("new"))
        assert isinstance(entry, DeadLetter)
        assert entry.reason is Reason.INTERNAL
        assert entry.message.value == json.dumps(ASKED).encode()

    def test_key_value_and_headers_are_kept_byte_for_byte(self) -> None:
        headers: Headers = (("a", b"\x00\xff"), ("a", b"again"), ("none", None))
        letter = dead(record(b"\x00\x01\xfe", headers))
        assert letter.message.key == b"qa-sandbox"
        assert letter.message.value == b"\x00\x01\xfe"
        assert letter.message.headers[: len(headers)] == headers
        added = dict(letter.message.headers[len(headers) :])
        assert (added["resetd-topic"], added["resetd-partition"], added["resetd-offset"]) == (
            b"requests",
            b"3",
            b"41",
        )
        assert added["resetd-reason"] == b"not-a-cloud-event"

    @given(
        value=st.none() | st.binary(max_size=200),
        headers=st.lists(
            st.tuples(
                st.sampled_from(
                    ["content-type", "ce_id", "ce_type", "ce_source", "ce_specversion", "ce_time", "x"]
                ),
                st.none()
                | st.sampled_from(
                    [b"application/json", b"application/cloudevents+json", b"1.0", REQUESTED.encode()]
                )
                | st.binary(max_size=20),
            ),
            max_size=8,
        ),
    )
    def test_no_bytes_at_all_make_reading_fail(
        self, value: bytes | None, headers: list[tuple[str, bytes | None]]
    ) -> None:
        entry = read(record(value, tuple(headers)))
        assert entry is None or isinstance(entry, (NewRequest, NewAct, Deprovision, DeadLetter))

    @given(
        attributes=st.dictionaries(
            st.sampled_from(
                ["specversion", "id", "source", "type", "time", "traceparent", "dataschema", "data"]
            ),
            ANY_JSON,
        ),
        data=st.dictionaries(st.sampled_from(FIELDS), ANY_JSON),
        kind=st.sampled_from([*RESET_TYPES, REQUESTED]),
        timestamp_ms=st.integers(-(2**63), 2**63 - 1),
    )
    def test_no_event_of_any_shape_makes_reading_fail(
        self, attributes: dict[str, Any], data: dict[str, Any], kind: str, timestamp_ms: int
    ) -> None:
        good = {"specversion": "1.0", "id": "e1", "source": "/tests", "type": kind, "data": ASKED | data}
        entry = read(replace(structured(good | attributes), timestamp_ms=timestamp_ms))
        assert entry is None or isinstance(entry, (NewRequest, NewAct, Deprovision, DeadLetter))
        # The net for what nobody thought of is not what should catch these.
        assert not isinstance(entry, DeadLetter) or entry.reason is not Reason.INTERNAL
