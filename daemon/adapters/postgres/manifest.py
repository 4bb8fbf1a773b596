"""The manifest of a dump: one JSON document beside it, written once, that says what the dump has to hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import ValidationError

from daemon.ports.backups import Backup
from schemas.backups import Manifest


@dataclass(frozen=True)
class StoredManifest:
    """What the document says."""

    rows: Mapping[str, int] | None
    """`table_name` of each table -> how many rows were counted in the dump's snapshot; None: it does not say."""
    whole: Manifest | None = None
    """All that a restore has to bring back; None in documents of earlier versions, which have rows alone."""


def write_manifest(backup: Backup, manifest: StoredManifest) -> bytes:
    """Build the document that is stored beside a dump."""
    told = asdict(backup) | {"taken_at": backup.taken_at.isoformat(), "rows": manifest.rows}
    if manifest.whole is not None:
        told["manifest"] = manifest.whole.model_dump(mode="json", by_alias=True)
    return json.dumps(told, indent=2).encode()


def read_manifest(document: bytes | None) -> StoredManifest | None:
    """Read one; None where there is none, or none that can be read."""
    if document is None:
        return None
    try:
        told: dict[str, Any] = json.loads(document)
        whole = Manifest.model_validate(told["manifest"]) if "manifest" in told else None
    except (ValueError, ValidationError):
        return None
    return StoredManifest(told.get("rows"), whole)


def manifest_name(path: str) -> str:
    """Return the name of the manifest of the dump at that path."""
    return f"{path}.json"
