"""Who may do what: tokens by their SHA-256, each with roles in environments."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints, TypeAdapter

from daemon.config.settings import Settings
from daemon.config.yaml_documents import DocumentError, Flaw, read_document
from schemas.api import Role
from schemas.wire import Text, Time, Wire

Glob = Annotated[str, StringConstraints(pattern=r"^[a-z0-9*?\[\]!-]+$", max_length=63)]


class Token(Wire):
    """One token of the file `RESETD_API_TOKENS`."""

    name: Text
    """For the one who keeps the file; shown by `resetd auth whoami`."""
    subject: Text
    """Who acts with it: a person or a service; it is what gets recorded."""
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """Of the token's text, in hexadecimal: `printf %s TOKEN | sha256sum`."""
    roles: Annotated[tuple[Role, ...], Field(min_length=1)]
    environments: Annotated[tuple[Glob, ...], Field(min_length=1)]
    """Globs: `qa-*`, `*-sandbox`, `*`."""
    expires_at: Time | None = None


_FILE: TypeAdapter[tuple[Token, ...]] = TypeAdapter(tuple[Token, ...])
_SHORTEST = 20
_IMPLIED = {
    Role.VIEWER: {Role.VIEWER},
    Role.REQUESTER: {Role.VIEWER, Role.REQUESTER},
    Role.OPERATOR: {Role.VIEWER, Role.REQUESTER, Role.OPERATOR},
    Role.APPROVER: {Role.VIEWER, Role.APPROVER},
}


@dataclass(frozen=True)
class Caller:
    """Who a request comes from."""

    token: Token

    @property
    def subject(self) -> str:
        """What gets recorded."""
        return self.token.subject

    def may(self, role: Role, environment: str | None = None) -> bool:
        """Whether the token has that role, there (None: in any environment)."""
        has = any(role in _IMPLIED[one] for one in self.token.roles)
        return has and (environment is None or self.sees(environment))

    @property
    def sees_all(self) -> bool:
        """Whether the token is for every environment."""
        return "*" in self.token.environments

    def sees(self, environment: str) -> bool:
        """Whether the token is for that environment at all."""
        return any(fnmatchcase(environment, glob) for glob in self.token.environments)


class Tokens:
    """All tokens that are in force."""

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self._by_digest = {token.sha256: token for token in tokens}

    def caller(self, secret: str, *, now: datetime) -> Caller | None:
        """Whose token it is; None for an unknown or expired one."""
        # Looked up by digest: how long that takes says nothing about the token.
        token = self._by_digest.get(digest(secret))
        if token is None or (token.expires_at is not None and token.expires_at <= now):
            return None
        return Caller(token)


def digest(secret: str) -> str:
    """A token's SHA-256, as the file has it."""
    return hashlib.sha256(secret.encode()).hexdigest()


def load_tokens(settings: Settings) -> Tokens:
    """Tokens of the file, or the one of this machine's operator, made now if it is missing.

    Raises:
        DocumentError: the file can't be used: file, line, field.
    """
    if settings.api_tokens is None:
        secret = operator_token(settings.operator_token_file)
        return Tokens((_operator(secret),))
    tokens = read_document(settings.api_tokens, _FILE)
    digests = [token.sha256 for token in tokens]
    if len(set(digests)) != len(digests):
        twice = "two tokens have one sha256; every token needs its own"
        raise DocumentError([Flaw(str(settings.api_tokens), 1, "", twice)])
    return Tokens(tokens)


def operator_token(path: Path) -> str:
    """The token in `path` (0600), for the command line on the same machine; made where there is none.

    Raises:
        DocumentError: the file holds no token.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        # Written whole under another name first, so that nobody ever reads half a token; the first link wins.
        fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"resetd_{secrets.token_urlsafe(32)}\n")
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
    secret = path.read_text(encoding="utf-8").strip()
    if len(secret) < _SHORTEST:
        empty = "holds no token; delete the file, the next start makes a new one"
        raise DocumentError([Flaw(str(path), 1, "", empty)])
    return secret


def _operator(secret: str) -> Token:
    return Token(
        name="operator-token",
        subject="operator",
        sha256=digest(secret),
        roles=tuple(Role),
        environments=("*",),
    )
