"""Canonical JSON (RFC 8785) and digests over it: what people agree to has exactly one spelling.

Only values within this domain are spelled as the RFC says: object keys are ASCII text (names of fields, services and
kinds), integers are at most 2**53 - 1 away from 0, and floating numbers are 0 or from 0.0001 to 2**53 away from 0 (the
product has seconds and factors between 0.001 and a million). Beyond it Python writes exponents, large numbers and
the order of keys in another way than ECMAScript. `tests/unit/statemachines/planner/test_canonical.py` compares the
spelling within the domain with the package `rfc8785`, which takes three times as long for a line of history.
"""

from __future__ import annotations

import json
from hashlib import sha256

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_SIGNS_OF_WHOLE_FLOATS = (".0", "e+")
"""Python writes one of these in every whole floating number (`600.0`, `1e+16`); ECMAScript writes `600`."""


def canonical(value: object) -> bytes:
    """Write a JSON-like value (as `model_dump(mode="json", by_alias=True)` gives it) as canonical JSON in UTF-8.

    Raises:
        ValueError: the value holds NaN, an infinity or a lone surrogate.
    """
    text = _ENCODER.encode(value)
    if any(sign in text for sign in _SIGNS_OF_WHOLE_FLOATS):
        text = _ENCODER.encode(_with_whole_floats_as_integers(value))
    return text.encode()


def digest(value: object) -> str:
    """Return `sha256:` and the hexadecimal SHA-256 of the value's canonical JSON."""
    return f"sha256:{sha256(canonical(value)).hexdigest()}"


def _with_whole_floats_as_integers(value: object) -> object:
    if isinstance(value, dict):
        return {key: _with_whole_floats_as_integers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_whole_floats_as_integers(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
