"""Reads the file of administrators' accounts, each time anew: others rotate its passwords."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter

from daemon.config.yaml_documents import read_document
from schemas.admin_servers import AdminServer

_SHAPE = TypeAdapter(tuple[AdminServer, ...])


def read_admin_servers(path: Path) -> tuple[AdminServer, ...]:
    """Read the file, which is YAML or JSON.

    Raises:
        DocumentError: it can't be read or has another shape. No error shows a value.
    """
    return read_document(path, _SHAPE)
