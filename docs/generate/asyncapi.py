"""The AsyncAPI 3 document of resetd's topics, out of the models: `docs/asyncapi.yaml`.

`receive` and `send` are resetd's: others send what it receives. Payloads are the schemas of `docs/schemas/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from daemon.config.settings import Settings
from docs.generate.schemas import DIALECT
from schemas import requests, status
from schemas.resets import ResetState
from statemachines.history.hold_record import HOLD_ENDING
from statemachines.history.hold_record import SCHEMA as HOLD_SCHEMA
from statemachines.history.status_record import SCHEMA, SOURCE

PATH = "docs/asyncapi.yaml"
_FORMAT = "application/schema+json;version=draft-2020-12"
_JSON = "application/json"

_RECEIVED = {
    "resetRequested": (requests.RESET_REQUESTED, "reset-requested", "Asks for a reset of an environment."),
    "resumeRequested": (requests.RESUME_REQUESTED, "resume-requested", "Asks a stopped reset to go on."),
    "cancelRequested": (requests.CANCEL_REQUESTED, "cancel-requested", "Asks for a reset to be cancelled."),
    "environmentProvisioned": (
        requests.ENVIRONMENT_PROVISIONED,
        "environment-provisioned",
        "Leads to one `refresh` once ArgoCD says Synced and Healthy.",
    ),
    "environmentDeprovisioned": (
        requests.ENVIRONMENT_DEPROVISIONED,
        "environment-deprovisioned",
        "What waits for that environment is cancelled.",
    ),
}


def documents() -> dict[str, str]:
    """Path in the repository -> text."""
    heading = f"# Generated from the models by `make docs`. Payloads: JSON Schema, {DIALECT}\n"
    return {PATH: heading + yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=110)}


def document() -> dict[str, Any]:
    """The AsyncAPI document as JSON-like values."""
    messages = {name: _received(*about) for name, about in _RECEIVED.items()}
    messages |= {_camel(event): _status(event) for event in _events()}
    messages["holdEnding"] = _message(
        HOLD_ENDING,
        "A person's hold of an environment ends in 15 minutes; these resets start then.",
        "hold-ending",
        "holdHeaders",
    )
    messages["deadLetter"] = _dead_letter()
    channels = _channels()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "resetd",
            "version": "1.0.0",
            "description": (
                "Environment resets over Kafka. CloudEvents 1.0, binary or structured mode, both read; binary mode "
                "is written. The record's key is the environment. Topics are the defaults of the settings."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": _JSON,
        "channels": channels,
        "operations": {
            "takeInRequests": _operation("receive", "requests", channels),
            "takeInEnvironments": _operation("receive", "environments", channels),
            "publishStatus": _operation("send", "status", channels),
            "setAside": _operation("send", "deadLetters", channels),
        },
        "components": {
            "messages": messages,
            "schemas": {"eventHeaders": _headers(), "statusHeaders": _told(), "holdHeaders": _hold_told()},
        },
    }


def _events() -> list[str]:
    return [*(state.value for state in ResetState), status.STEP_STARTED, status.STEP_FINISHED]


def _channels() -> dict[str, Any]:
    received = list(_RECEIVED)
    return {
        "requests": _channel("requests_topic", "Requests for resets, and acts on them.", received[:3]),
        "environments": _channel(
            "environments_topic", "Environments come and go; other types on it are ignored.", received[3:]
        ),
        "status": _channel(
            "status_topic",
            "Each line of each reset's history: at least once, in order for each environment.",
            [*(_camel(event) for event in _events()), "holdEnding"],
        ),
        "deadLetters": _channel("dead_letters_topic", "Records that could not be read.", ["deadLetter"]),
    }


def _channel(setting: str, description: str, messages: list[str]) -> dict[str, Any]:
    return {
        "address": Settings.model_fields[setting].default,
        "description": description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
    }


def _operation(action: str, channel: str, channels: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": channels[channel]["description"],
        "messages": [
            {"$ref": f"#/channels/{channel}/messages/{name}"} for name in channels[channel]["messages"]
        ],
    }


def _received(kind: str, schema: str, summary: str) -> dict[str, Any]:
    return _message(kind, summary, schema, "eventHeaders")


def _status(event: str) -> dict[str, Any]:
    states = {state.value for state in ResetState}
    summary = (
        f"The reset is in state `{event}`." if event in states else f"A {event.replace('-', ' has ', 1)}."
    )
    return _message(status.status_type(event), summary, "status", "statusHeaders")


def _message(kind: str, summary: str, schema: str, headers: str) -> dict[str, Any]:
    return {
        "name": kind,
        "summary": summary,
        "contentType": _JSON,
        "headers": {
            "allOf": [
                {"$ref": f"#/components/schemas/{headers}"},
                {"type": "object", "properties": {"ce_type": {"const": kind}}},
            ]
        },
        "payload": {"schemaFormat": _FORMAT, "schema": {"$ref": f"./schemas/{schema}.json"}},
        "bindings": {"kafka": {"key": {"type": "string", "description": "The environment."}}},
    }


def _dead_letter() -> dict[str, Any]:
    added = {
        "resetd-reason": "Code of the closed list of reasons.",
        "resetd-detail": "What is wrong, for people.",
        "resetd-topic": "Where the record was read.",
        "resetd-partition": "Its partition.",
        "resetd-offset": "Its offset.",
    }
    return {
        "name": "deadLetter",
        "summary": "The original key, value and headers byte for byte, and these headers beside them.",
        "contentType": "application/octet-stream",
        "headers": _object({name: _text(about) for name, about in added.items()}, list(added)),
        "payload": {"description": "The original value, whatever it is."},
    }


def _headers() -> dict[str, Any]:
    """Headers of an event in binary mode; in structured mode the same attributes are members of the JSON."""
    properties = {
        "content-type": {"type": "string", "const": _JSON},
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": _text("With the source: taken in once."),
        "ce_source": _text("Who publishes, as a URI reference."),
        "ce_type": _text("One of the types of this topic."),
        "ce_time": _text("RFC 3339; the record's own time where it is absent.", format="date-time"),
        "ce_subject": _text("Not read."),
        "ce_partitionkey": _text("The environment."),
        "ce_traceparent": _text("W3C trace context; carried through to the status events."),
    }
    return _object(properties, ["content-type", "ce_specversion", "ce_id", "ce_source", "ce_type"])


def _told() -> dict[str, Any]:
    """Headers of a status event."""
    properties = {
        "content-type": {"type": "string", "const": _JSON},
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": _text("`RESETID/SEQUENCE`: the same however often it is published."),
        "ce_source": {"type": "string", "const": SOURCE},
        "ce_type": _text("The state that was reached, or what became of a step."),
        "ce_subject": _text("`ENVIRONMENT/RESETID`."),
        "ce_time": _text("When it happened.", format="date-time"),
        "ce_dataschema": {"type": "string", "const": SCHEMA},
        "ce_partitionkey": _text("The environment."),
        "ce_correlationid": _text("The reset's id."),
        "ce_causationid": _text("Id of the event that led to the reset; absent where none did."),
        "ce_traceparent": _text("Of that event."),
    }
    optional = {"ce_causationid", "ce_traceparent"}
    return _object(properties, [name for name in properties if name not in optional])


def _hold_told() -> dict[str, Any]:
    """Headers of the event of a hold's end."""
    told = _told()["properties"]
    properties = {
        **{name: told[name] for name in ("content-type", "ce_specversion", "ce_source", "ce_time")},
        "ce_id": _text("`HOLDID/END`: the same however often it is published."),
        "ce_type": {"type": "string", "const": HOLD_ENDING},
        "ce_subject": _text("The environment."),
        "ce_dataschema": {"type": "string", "const": HOLD_SCHEMA},
        "ce_partitionkey": _text("The environment."),
    }
    return _object(properties, list(properties))


def _object(properties: Mapping[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": dict(properties)}


def _text(description: str, **more: str) -> dict[str, str]:
    return {"type": "string", "description": description, **more}


def _camel(event: str) -> str:
    first, *rest = event.split("-")
    return first + "".join(part.title() for part in rest)
