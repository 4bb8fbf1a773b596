"""The manifest of a dump: one JSON document beside it, written once, that says what the dump has to hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from daemon.ports.backups import Backup


@dataclass(frozen=True)
class Manifest:
    """What a manifest says."""

    rows: Mapping[str, int] | None
    """`table_name` of each table -> how many rows were counted in the dump's snapshot; None: it does not say."""


def write_manifest(backup: Backup, manifest: Manifest) -> bytes:
    """Build the document that is stored beside a dump."""
    told = asdict(backup) | {"taken_at": backup.taken_at.isoformat(), "rows": manifest.rows}
    return json.dumps(told, indent=2).encode()


def read_manifest(document: bytes | None) -> Manifest | None:
    """Read one; None where there is none, or none that can be read."""
    if document is None:
        return None
    try:
        told: dict[str, Any] = json.loads(document)
    except ValueError:
        return None
    return Manifest(told.get("rows"))


def manifest_name(path: str) -> str:
    """Return the name of the manifest of the dump at that path."""
    return f"{path}.json"
