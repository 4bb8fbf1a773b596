"""The seeds that write one list of rows: those of all services except los-integrations."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from sandbox.services.standins import controls, node
from sandbox.services.standins.seeding import rows


def seed(script: Path, described: dict[str, Any]) -> None:
    """Run the seed that the file beside `script` describes.

    Raises:
        rows.SeedError: a client was not generated here, a table is missing, or a statement is refused.
    """
    missing = node.missing_client(Path.cwd(), described.get("clients"))
    if missing:
        raise rows.SeedError(node.NOT_GENERATED)
    control = controls.begin(described["name"])
    sys.stdout.write(f"Seeding: {described['title']}\n")
    for needed in described.get("reads", []):
        with rows.connect(needed["url"]) as other:
            rows.check_readable(other, needed["table"], needed["column"])
    tables = list(described["tables"])
    for file in sorted(script.parent.glob("seeds/workflows/*.json")):
        tables += json.loads(file.read_text())["tables"]
    with rows.connect() as session:
        rows.write(session, list(rows.rows_of(tables)), control)
    sys.stdout.write(f"Seeding finished: {described['title']}\n")
