"""The shipped catalog, which quiesces wipes."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml


def quiescing_catalog(directory: Path) -> Path:
    """Its file."""
    shipped: dict[str, Any] = yaml.safe_load(
        (files("daemon.config.catalogs") / "fuse-platform.yaml").read_text()
    )
    file = directory / "catalog.yaml"
    file.write_text(yaml.safe_dump({**shipped, "quiesce": ["wipe"]}))
    return file
