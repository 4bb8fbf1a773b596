"""The end of output that may be the first part of a secret: what comes next decides, so it is held back until then.

It is held back where it begins a value that is known (in any of its forms, also over lines), and where it begins what
has the shape of a secret. What is held back is never more than such a beginning, so lines come as they are printed.
"""

from __future__ import annotations

import re

from daemon.redaction.known_values import KNOWN

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s'\"<>]{0,1024}\Z")
"""It may still become one with a password."""
_OPEN: tuple[re.Pattern[str], ...] = (
    # A password of a URL before its @. What is only a port and a path is none.
    re.compile(
        r"[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s:/@'\"<>]{0,256}:(?P<secret>(?!\d{1,5}(?:[/?#]|\Z))[^\s'\"<>]{1,512})\Z"
    ),
    # A field whose quoted value has not ended.
    re.compile(
        r"(?:password|passwd|pwd|secret|token|(?:api|access|private)[_-]?key)"
        r"\\?[\"']?\s?[=:]\s?(?:\\?\"(?P<secret>[^\"\n]{1,512})|'(?P<other>[^'\n]{1,512}))\Z",
        re.IGNORECASE,
    ),
    re.compile(
        r"\b(?:bearer|authorization[\"']?:\s*[\"']?\w+)\s+(?P<secret>[A-Za-z0-9._~+/=-]{1,11})\Z",
        re.IGNORECASE,
    ),
    re.compile(r"\b(?P<secret>(?:gh[pousr]_|github_pat_|resetd_)\w{1,19})\Z"),
    re.compile(r"(?<![A-Za-z0-9_-])(?P<secret>eyJ[A-Za-z0-9_-]{8,4000}(?:\.[A-Za-z0-9_-]{0,4000})?)\Z"),
)
_LONGEST_SHAPE = 8 * 1024


def open_end(data: bytes) -> int:
    """Return where the end of the data begins that may be the first part of a secret; its length where none does."""
    begun = KNOWN.begun_in_bytes(data)
    first = len(data) if begun is None else begun[0]
    text, before = _end_of(data)
    found = [match.start() for shape in (_URL, *_OPEN) if (match := shape.search(text))]
    return min(first, *(before + start for start in found)) if found else first


def masked_end(data: bytes) -> bytes:
    """Overlay what the data ends with and is the greater part of a secret: nothing comes that would show it whole."""
    begun = KNOWN.begun_in_bytes(data)
    if begun is not None and begun[1]:
        data = data[: begun[0]] + re.sub(rb"[^\r\n]", b"*", data[begun[0] :])
    text, before = _end_of(data)
    for shape in _OPEN:
        if match := shape.search(text):
            name = match.lastgroup or "secret"
            data = (
                data[: before + match.start(name)]
                + b"*" * len(match[name])
                + data[before + match.end(name) :]
            )
    return data


def joined(held: tuple[int, bytes], offset: int, data: bytes) -> tuple[int, bytes]:
    """Join output to what was held back before it: (offset, bytes). What came again counts as it came last.

    `data` begins no later than what was held back ends.
    """
    start, raw = held
    if offset >= start:
        return start, raw[: offset - start] + data + raw[offset - start + len(data) :]
    return (offset, data + raw[offset + len(data) - start :]) if offset + len(data) >= start else held


def _end_of(data: bytes) -> tuple[str, int]:
    # Latin-1 maps each byte to one character and back.
    before = max(0, len(data) - _LONGEST_SHAPE)
    return data[before:].decode("latin-1"), before
