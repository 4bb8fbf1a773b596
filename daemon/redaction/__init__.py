"""Removes secrets from text. Logs, errors, outcomes and kept output pass through it.

The rule is that no code writes a secret in the first place; this is the net below that rule. It finds what has the
shape of a secret, and the exact values that the pods hold which the daemon works in (`known_values`). The output of
commands in pods, which follow no rule of ours, passes through it on its way to disk.
"""

from __future__ import annotations

import re

from daemon.redaction.known_values import KNOWN
from daemon.redaction.shapes import PATTERNS, kept_part

MASK = "***"


def redact(text: str) -> str:
    """Replace each secret in the text by `***`."""
    for value in KNOWN.forms_in(text):
        text = text.replace(value, MASK)
    for pattern in PATTERNS:
        text = pattern.sub(lambda found: kept_part(found) + MASK, text)
    return text


def redact_in_place(data: bytes) -> bytes:
    """Overlay each secret in the bytes with as many `*`, so that offsets into the output stay true.

    Line breaks inside a key are kept, so that line numbers stay true as well.
    """
    for value in KNOWN.forms_in_bytes(data):
        data = data.replace(value, re.sub(rb"[^\r\n]", b"*", value))
    # Latin-1 maps each byte to one character and back; all patterns are ASCII.
    text = data.decode("latin-1")
    for pattern in PATTERNS:
        text = pattern.sub(lambda found: kept_part(found) + re.sub(r"[^\r\n]", "*", found["secret"]), text)
    return text.encode("latin-1")


def redact_value(value: object) -> object:
    """Replace each secret in a JSON-like value by `***`, at any depth. Keys stay as they are."""
    match value:
        case str():
            return redact(value)
        case dict():
            return {key: redact_value(item) for key, item in value.items()}
        case list() | tuple():
            return [redact_value(item) for item in value]
        case _:
            return value
