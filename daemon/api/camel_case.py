"""Rows of the store as JSON of the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic.alias_generators import to_camel


def camel_case(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with its names as the API writes them: `taken_at` is `takenAt`."""
    return {to_camel(name): value for name, value in row.items()}
