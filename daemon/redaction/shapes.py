"""Finds what has the shape of a secret: passwords in URLs, tokens, keys."""

from __future__ import annotations

import re

PATTERNS: tuple[re.Pattern[str], ...] = (
    # scheme://user:SECRET@host. A password that is not percent-encoded may hold a slash, a colon or an @.
    # So the secret reaches to the last @ before a space or a quote.
    re.compile(r"(?<=://)(?P<keep>[^\s:/@'\"<>]{0,256}:)(?P<secret>[^\s'\"<>]{1,512})(?=@)"),
    # scheme://TOKEN@host, as git remotes have it.
    re.compile(r"(?<=://)(?P<secret>[^\s:/?#@'\"<>]{16,512})(?=@)"),
    # ?password=SECRET and PGPASSWORD=SECRET. After a colon, as in JSON and YAML, only what is quoted or has a digit.
    re.compile(
        r"(?P<keep>\b[\w-]{0,40}(?:password|passwd|pwd|secret|token|(?:api|access|private)[_-]?key)"
        r"(?:\\?[\"']?\s?=\s?|\\?[\"']?\s?:\s?(?=\\?[\"']|[^\s\d]{0,256}\d)))"
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


def kept_part(found: re.Match[str]) -> str:
    """Return what a match of a pattern leaves in the text before the secret."""
    return found.groupdict().get("keep") or ""
