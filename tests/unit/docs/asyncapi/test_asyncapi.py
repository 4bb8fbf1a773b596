"""The generated contract is a valid one, and says what really goes over the wire."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator, Draft202012Validator

from docs.generate import asyncapi, schemas
from schemas.publish import EnvironmentProvisioned, Publishable, ResetRequested, ResumeRequested, to_kafka
from schemas.requests import RESET_REQUESTED
from schemas.resets import Channel, Reset, ResetState, Waiting
from schemas.wire import ResetId
from statemachines.history.status import next_status
from statemachines.history.status_record import Subject, committed, status_record

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
ID = ResetId("0196a000-0000-7000-8000-000000000001")
ASYNCAPI: dict[str, Any] = json.loads(Path(__file__).with_name("asyncapi-3.0.0.json").read_text())
DOCUMENT: dict[str, Any] = yaml.safe_load(asyncapi.documents()[asyncapi.PATH])
SCHEMAS: dict[str, dict[str, Any]] = {
    Path(path).stem: json.loads(text) for path, text in schemas.documents().items()
}


def message_of(kind: str) -> dict[str, Any]:
    (found,) = (one for one in DOCUMENT["components"]["messages"].values() if one["name"] == kind)
    assert isinstance(found, dict)
    return found


def headers_schema(message: dict[str, Any]) -> dict[str, Any]:
    return {**message["headers"], "components": DOCUMENT["components"]}


def payload_schema(message: dict[str, Any]) -> dict[str, Any]:
    return SCHEMAS[Path(message["payload"]["schema"]["$ref"]).stem]


def resolve(reference: str) -> object:
    found: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [one for name, one in value.items() if name == "$ref"]
        return own + [each for one in value.values() for each in references(one)]
    return [each for one in value for each in references(one)] if isinstance(value, list) else []


def test_the_document_has_the_structure_of_asyncapi_3() -> None:
    Draft7Validator(ASYNCAPI).validate(DOCUMENT)


def test_a_document_without_that_structure_is_noticed() -> None:
    wrong = DOCUMENT | {"operations": {"publishStatus": {"action": "publish"}}}
    assert not Draft7Validator(ASYNCAPI).is_valid(wrong)


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        if reference.startswith("#/"):
            resolve(reference)
        else:
            assert Path(reference).stem in SCHEMAS


def test_each_state_and_what_becomes_of_steps_is_a_message_that_is_sent() -> None:
    sent = DOCUMENT["channels"]["status"]["messages"]
    names = {DOCUMENT["components"]["messages"][name]["name"] for name in sent}
    events = {*(state.value for state in ResetState), "step-started", "step-finished"}
    resets = {f"com.fuse.environment.reset.{event}.v1" for event in events}
    assert names == resets | {"com.fuse.environment.hold-ending.v1"}


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_each_schema_is_a_valid_one(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])


@pytest.mark.parametrize(
    "event",
    [
        ResetRequested(
            environment="qa-sandbox", requested_by="x", services=("los-core-api",), not_before=NOW
        ),
        ResumeRequested(environment="qa-sandbox", requested_by="x", reset_id=ID, sequence=3),
        EnvironmentProvisioned(environment="qa-sandbox", provisioned_by="x"),
    ],
)
def test_what_the_publisher_makes_fits_the_contract(event: Publishable) -> None:
    _, value, headers = to_kafka(event, source="/x")
    named = {name: one.decode() for name, one in headers}
    message = message_of(named["ce_type"])
    Draft202012Validator(headers_schema(message)).validate(named)
    Draft202012Validator(payload_schema(message)).validate(json.loads(value))


@pytest.mark.parametrize(
    "data",
    [
        {"environment": "qa-sandbox"},
        {"environment": "qa-sandbox", "requestedBy": "x", "command": "rm -rf /"},
        {"environment": "qa-sandbox", "requestedBy": "x", "mode": "drop"},
        {"environment": "qa-sandbox", "requestedBy": "x", "integrations": ["a; b"]},
    ],
)
def test_what_the_intake_refuses_does_not_fit_the_contract(data: dict[str, Any]) -> None:
    assert not Draft202012Validator(payload_schema(message_of(RESET_REQUESTED))).is_valid(data)


@pytest.mark.parametrize("state", list(ResetState))
def test_each_status_that_is_published_fits_the_contract(state: ResetState) -> None:
    reset = Reset(
        id=ID,
        number=12,
        environment="qa-sandbox",
        request=ResetRequested(environment="qa-sandbox", requested_by="x"),
        channel=Channel.KAFKA,
        requested_by=("x",),
        event_source="/x",
        event_id="e-1",
        trace_parent="00-1-2-01",
        state=state,
        waiting_for=Waiting(reason="locks", detail="held", held_by=(ID,)),
        created_at=NOW,
        updated_at=NOW,
    )
    told, entry = next_status(reset, at=NOW)
    record = status_record(Subject.of(told), committed(entry, environment_sequence=7, public_url=""))
    message = message_of(entry.type)
    Draft202012Validator(headers_schema(message)).validate(
        {name: value.decode() for name, value in record.headers}
    )
    Draft202012Validator(payload_schema(message)).validate(json.loads(record.value))
