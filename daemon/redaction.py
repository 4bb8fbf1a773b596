"""Removes secrets from text: passwords in URLs, tokens, keys. Logs, errors, outcomes and kept output pass through it.

The rule is that no code writes a secret in the first place; this is the net below that rule. It finds only what has the
shape of a secret. The output of commands in pods, which follow no such rule, passes through it on its way to disk.
"""

from __future__ import annotations

import re

MASK = "***"

_PATTERNS: tuple[re.Pattern[str], ...] = (
    # scheme://user:SECRET@host. A password that is not percent-encoded may hold a slash, a colon or an @.
    # So the secret reaches to the last @ before a space or a quote.
    re.compile(r"(?<=://)(?P<keep>[^\s:/@'\"<>]{0,256}:)(?P<secret>[^\s'\"<>]{1,512})(?=@)"),
    # scheme://TOKEN@host, as git remotes have it.
    re.compile(r"(?<=://)(?P<secret>[^\s:/?#@'\"<>]{16,512})(?=@)"),
    # ?password=SECRET and PGPASSWORD=SECRET. After a colon, as in JSON and YAML, only what is quoted or has a digit.
    re.compile(
        r"(?P<keep>\b[\w-]{0,40}(?:password|passwd|pwd|secret|token|(?:api|access|private)[_-]?key)"
        r"(?:\\?[\"']?\s?=\s?|\\?[\"']?\s?:\s?(?=\\?[\"']|[^\s\d]*\d)))"
        r"(?P<secret>\\\"[^\"\n]+\"|\"[^\"\n]+\"|'[^'\n]+'|[^\s&,;\"')}\]]+)",
        re.IGNORECASE,
    ),
    re.compile(
        r"(?P<keep>\b(?:bearer|authorization[\"']?:\s*[\"']?\w+)\s+)(?P<secret>[A-Za-z0-9._~+/=-]{12,})",
        re.IGNORECASE,
    ),
    # Tokens that name themselves: GitHub's, resetd's own, JSON web tokens.
    re.compile(r"(?P<secret>\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|resetd_[A-Za-z0-9_-]{20,}))"),
    re.compile(r"(?P<secret>\beyJ[A-Za-z0-9_-]{8,4000}\.eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]*)"),
    # A key in PEM, also one that is cut off before its end, and one whose line breaks are escaped.
    re.compile(r"(?P<keep>-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----)(?P<secret>(?:(?!-----END)[\s\S])+)"),
)


def redact(text: str) -> str:
    """Replace each secret in the text by `***`."""
    for pattern in _PATTERNS:
        text = pattern.sub(lambda found: _kept(found) + MASK, text)
    return text


def redact_in_place(data: bytes) -> bytes:
    """Overlay each secret in the bytes with as many `*`, so that offsets into the output stay true.

    Line breaks inside a key are kept, so that line numbers stay true as well.
    """
    # Latin-1 maps each byte to one character and back; all patterns are ASCII.
    text = data.decode("latin-1")
    for pattern in _PATTERNS:
        text = pattern.sub(lambda found: _kept(found) + re.sub(r"[^\r\n]", "*", found["secret"]), text)
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


def _kept(found: re.Match[str]) -> str:
    return found.groupdict().get("keep") or ""
