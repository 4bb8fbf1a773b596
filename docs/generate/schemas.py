"""JSON Schemas (2020-12) of what crosses a boundary, out of the pydantic models: `docs/schemas/*.json`."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from schemas import api
from schemas.audit import AuditEntry
from schemas.catalog.catalog import Catalog
from schemas.holds import HoldEnding
from schemas.plan import Plan
from schemas.requests import (
    CancelRequested,
    EnvironmentDeprovisioned,
    EnvironmentProvisioned,
    ResetRequested,
    ResetWanted,
    ResumeRequested,
)
from schemas.resets import HistoryEntry
from schemas.status import Status
from statemachines.history.hold_record import SCHEMA as HOLD_ENDING_URN
from statemachines.history.status_record import SCHEMA as STATUS_URN

FOLDER = "docs/schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

READ: dict[str, type[BaseModel]] = {
    "reset-requested": ResetRequested,
    "resume-requested": ResumeRequested,
    "cancel-requested": CancelRequested,
    "environment-provisioned": EnvironmentProvisioned,
    "environment-deprovisioned": EnvironmentDeprovisioned,
    "catalog": Catalog,
}
"""File -> what resetd reads: unknown fields are refused."""

WRITTEN: dict[str, type[BaseModel]] = {"status": Status, "plan": Plan, "hold-ending": HoldEnding}
"""File -> what resetd writes: readers have to expect further fields."""

_BODIES: tuple[tuple[type[BaseModel], JsonSchemaMode], ...] = (
    (ResetWanted, "validation"),
    *((body, "validation") for body in (api.ActBody, api.ApproveBody, api.ResumeBody, api.SkipBody)),
    *((body, "validation") for body in (api.ResolveBody, api.RollbackBody)),
    *((body, "validation") for body in (api.FreezeAsked, api.UnfreezeAsked, api.HoldAsked, api.UnholdAsked)),
    *(
        (body, "serialization")
        for body in (api.ResetBody, api.Page, api.ActAccepted, HistoryEntry, AuditEntry)
    ),
    *((body, "serialization") for body in (api.FreezeBody, api.HoldBody)),
    *((body, "serialization") for body in (api.EnvironmentBody, api.DoctorReport, api.WhoAmI, api.Problem)),
)
"""Bodies of the HTTP API: requests as they are read, answers as they are written."""


def documents() -> dict[str, str]:
    """Path in the repository -> text, for each schema."""
    found = {name: model.model_json_schema() for name, model in READ.items()}
    # What is None is left out of events, so a field is required only where it has no default.
    found |= {name: tolerant(model.model_json_schema()) for name, model in WRITTEN.items()}
    found["status"] = {"$id": STATUS_URN} | found["status"]
    found["hold-ending"] = {"$id": HOLD_ENDING_URN} | found["hold-ending"]
    found["api"] = _api()
    return {f"{FOLDER}/{name}.json": _text({"$schema": DIALECT} | schema) for name, schema in found.items()}


def tolerant(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without `additionalProperties: false` anywhere."""
    return {name: _tolerant(value) for name, value in schema.items() if not _closes(name, value)}


def _tolerant(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return tolerant(value)
    return [_tolerant(item) for item in value] if isinstance(value, list) else value


def _closes(name: str, value: object) -> bool:
    return name == "additionalProperties" and value is False


def _api() -> dict[str, Any]:
    _, schema = models_json_schema(_BODIES, title="Bodies of the HTTP API")
    described = "Each body by its name under $defs; which call takes which is in the OpenAPI document."
    return {"title": schema["title"], "description": described, "$defs": schema["$defs"]}


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
