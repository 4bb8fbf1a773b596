"""Turns rows of the store into JSON of the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic.alias_generators import to_camel


def camel_case(row: Mapping[str, Any]) -> dict[str, Any]:
    """Name the fields of a row as the API does: `taken_at` becomes `takenAt`."""
    return {to_camel(name): value for name, value in row.items()}
