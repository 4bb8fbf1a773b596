"""Reads query parameters as the real server does."""

from __future__ import annotations

from collections.abc import Mapping


def flag(query: Mapping[str, str], name: str) -> bool:
    """Read a boolean: only absence, `false` and `0` are false, because Python clients send `True`."""
    return name in query and query[name].lower() not in {"false", "0"}
