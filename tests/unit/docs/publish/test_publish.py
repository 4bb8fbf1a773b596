"""What another service publishes is what the daemon reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from daemon.config.settings import Settings
from daemon.intake.entries import IntakeRules, entry_of
from schemas.intake import Deprovision, Entry, NewAct, NewRequest
from schemas.publish import (
    ENVIRONMENTS_TOPIC,
    REQUESTS_TOPIC,
    CancelRequested,
    EnvironmentDeprovisioned,
    EnvironmentProvisioned,
    KafkaRecord,
    Mode,
    Option,
    Publishable,
    RequestReference,
    ResetRequested,
    ResumeRequested,
    to_kafka,
    topic_of,
)
from schemas.records import Record
from schemas.resets import ActKind
from schemas.wire import ResetId

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
ID = ResetId("0196a000-0000-7000-8000-000000000001")


def taken_in(event: Publishable, published: KafkaRecord) -> Entry | None:
    record = Record(topic_of(event), 0, 0, published.key, published.value, tuple(published.headers), 0)
    rules = IntakeRules(REQUESTS_TOPIC, ENVIRONMENTS_TOPIC, "dead", timedelta(hours=24))
    return entry_of(record, rules, now=NOW, new_id=ID)


def test_a_published_request_is_the_request_that_is_taken_in() -> None:
    wanted = ResetRequested(
        environment="qa-sandbox",
        requested_by="deploy-bot",
        mode=Mode.WIPE,
        services=("los-core-api", "los-integrations"),
        service_modes={"los-integrations": Mode.SEED},
        options=(Option.MOCK,),
        integrations=("encompass",),
        core=True,
        git=False,
        reason="nightly",
        not_before=NOW,
        idempotency_key="nightly-1",
    )
    published = to_kafka(wanted, source="/deploy-bot", event_id="e-1", time=NOW, trace_parent="00-1-2-01")
    entry = taken_in(wanted, published)
    assert isinstance(entry, NewRequest)
    assert entry.refused is None
    assert entry.request == wanted
    assert (entry.source, entry.event_id, entry.trace_parent) == ("/deploy-bot", "e-1", "00-1-2-01")


def test_only_what_differs_from_the_defaults_is_sent() -> None:
    key, value, headers = to_kafka(
        ResetRequested(environment="qa-sandbox", requested_by="x"), source="/x", event_id="1", time=NOW
    )
    assert key == b"qa-sandbox"
    assert value == b'{"environment": "qa-sandbox", "requestedBy": "x"}'
    assert dict(headers) == {
        "content-type": b"application/json",
        "ce_specversion": b"1.0",
        "ce_id": b"1",
        "ce_source": b"/x",
        "ce_type": b"com.fuse.environment.reset.requested.v1",
        "ce_subject": b"qa-sandbox",
        "ce_time": b"2026-05-04T12:00:00Z",
        "ce_partitionkey": b"qa-sandbox",
    }


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (
            ResumeRequested(environment="qa-sandbox", requested_by="x", reset_id=ID, sequence=4),
            ActKind.RESUME,
        ),
        (
            CancelRequested(
                environment="qa-sandbox", requested_by="x", request=RequestReference(source="/x", id="1")
            ),
            ActKind.CANCEL,
        ),
        (CancelRequested(environment="qa-sandbox", requested_by="x", idempotency_key="k"), ActKind.CANCEL),
    ],
)
def test_acts_arrive_with_what_names_their_reset(
    event: ResumeRequested | CancelRequested, kind: ActKind
) -> None:
    entry = taken_in(event, to_kafka(event, source="/x", time=NOW))
    assert isinstance(entry, NewAct)
    assert entry.act.kind is kind
    assert entry.act.reset_id == (event.reset_id or "")
    assert (entry.request, entry.idempotency_key) == (event.request, event.idempotency_key)


def test_a_provisioned_environment_asks_for_a_refresh() -> None:
    event = EnvironmentProvisioned(environment="qa-sandbox", provisioned_by="terraform")
    entry = taken_in(event, to_kafka(event, source="/terraform", time=NOW))
    assert isinstance(entry, NewRequest)
    assert entry.request.mode is Mode.REFRESH


def test_a_deprovisioned_environment_is_told() -> None:
    event = EnvironmentDeprovisioned(environment="qa-sandbox", deprovisioned_by="terraform")
    entry = taken_in(event, to_kafka(event, source="/terraform", time=NOW))
    assert isinstance(entry, Deprovision)
    assert entry.actor == "terraform"


def test_each_record_has_an_id_of_its_own_unless_one_is_given() -> None:
    wanted = ResetRequested(environment="qa-sandbox", requested_by="x")
    ids = {dict(to_kafka(wanted, source="/x").headers)["ce_id"] for _ in range(3)}
    assert len(ids) == 3


def test_times_go_out_in_utc() -> None:
    wanted = ResetRequested(environment="qa-sandbox", requested_by="x")
    there = datetime(2026, 5, 4, 14, 0, tzinfo=timezone(timedelta(hours=2)))
    assert dict(to_kafka(wanted, source="/x", time=there).headers)["ce_time"] == b"2026-05-04T12:00:00Z"


def test_topics_are_those_that_the_daemon_reads_by_default() -> None:
    fields = Settings.model_fields
    assert fields["requests_topic"].default == REQUESTS_TOPIC
    assert fields["environments_topic"].default == ENVIRONMENTS_TOPIC
