"""Query parameters, read as the real server reads them."""

from __future__ import annotations

from collections.abc import Mapping


def flag(query: Mapping[str, str], name: str) -> bool:
    """A boolean: only absence, `false` and `0` are false; Python clients send `True`."""
    return name in query and query[name].lower() not in {"false", "0"}
