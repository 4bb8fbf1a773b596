"""The shipped catalog, to be changed."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml


def shipped_catalog() -> dict[str, Any]:
    """It as YAML has it."""
    text = (files("daemon.config.catalogs") / "fuse-platform.yaml").read_text()
    document: dict[str, Any] = yaml.safe_load(text)
    return document


def write_catalog(directory: Path, document: dict[str, Any]) -> Path:
    """Write one for a daemon to read; its file."""
    file = directory / "catalog.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


def quiescing_catalog(directory: Path) -> Path:
    """The file of one that quiesces wipes."""
    return write_catalog(directory, {**shipped_catalog(), "quiesce": ["wipe"]})
