"""Canonical JSON (RFC 8785) and digests over it: what people agree to has exactly one spelling.

The standard library's compact, sorted JSON differs from RFC 8785 in two ways only: numbers that are whole but
floating (`600.0`, which ECMAScript writes `600`), and the order of keys beyond the Basic Multilingual Plane.
The first is taken care of; keys here are field names, service names and kinds, all ASCII, and numbers are
counts and seconds between 0.001 and a million, which Python and ECMAScript spell alike.
"""

from __future__ import annotations

import json
from hashlib import sha256

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_OF_WHOLE_NUMBERS = (".0", "e+")
"""One of them is in every whole floating number as Python writes it (`600.0`, `1e+16`)."""


def canonical(value: object) -> bytes:
    """Canonical JSON of a JSON-like value (as `model_dump(mode="json", by_alias=True)` gives it)."""
    text = _ENCODER.encode(value)
    if any(sign in text for sign in _OF_WHOLE_NUMBERS):
        text = _ENCODER.encode(_whole(value))
    return text.encode()


def digest(value: object) -> str:
    """`sha256:` and the hexadecimal SHA-256 of its canonical JSON."""
    return f"sha256:{sha256(canonical(value)).hexdigest()}"


def _whole(value: object) -> object:
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
