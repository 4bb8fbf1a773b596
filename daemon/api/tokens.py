"""Tokens of the API. Each is known by its SHA-256 and gives roles in environments."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints, TypeAdapter

from daemon.config.yaml_documents import DocumentError, Flaw, parse_document
from schemas.api import Role
from schemas.wire import Text, Time, Wire

Glob = Annotated[str, StringConstraints(pattern=r"^[a-z0-9*?\[\]!-]+$", max_length=63)]


class Token(Wire):
    """One token of the file `RESETD_API_TOKENS`."""

    name: Text
    """Name for the person who keeps the file. `resetd auth whoami` shows it."""
    subject: Text
    """The person or service that acts with the token. It is recorded with everything they do."""
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the token's text in hexadecimal: `printf %s TOKEN | sha256sum`."""
    roles: Annotated[tuple[Role, ...], Field(min_length=1)]
    environments: Annotated[tuple[Glob, ...], Field(min_length=1)]
    """Globs of the environments that the token is for: `qa-*`, `*-sandbox`, `*`."""
    expires_at: Time | None = None


_FILE: TypeAdapter[tuple[Token, ...]] = TypeAdapter(tuple[Token, ...])
_SHORTEST = 20
_IMPLIED = {
    Role.VIEWER: {Role.VIEWER},
    Role.REQUESTER: {Role.VIEWER, Role.REQUESTER},
    Role.OPERATOR: {Role.VIEWER, Role.REQUESTER, Role.OPERATOR},
    Role.APPROVER: {Role.VIEWER, Role.APPROVER},
    Role.ADMIN: {Role.VIEWER, Role.ADMIN},
}


@dataclass(frozen=True)
class Caller:
    """Whoever makes a call, as the token of the call says."""

    token: Token

    @property
    def subject(self) -> str:
        """The person or service, as it is recorded."""
        return self.token.subject

    def may(self, role: Role, environment: str | None = None) -> bool:
        """Whether the token gives the role in `environment`; None: in any environment."""
        has = any(role in _IMPLIED[given] for given in self.token.roles)
        return has and (environment is None or self.sees(environment))

    def lacks(self, role: Role, environments: Collection[str]) -> tuple[str, ...]:
        """Return those of the environments in which the token does not give the role."""
        return tuple(environment for environment in environments if not self.may(role, environment))

    @property
    def sees_all(self) -> bool:
        """Whether the token is for every environment."""
        return "*" in self.token.environments

    def sees(self, environment: str) -> bool:
        """Whether the token is for that environment."""
        return any(fnmatchcase(environment, glob) for glob in self.token.environments)


class Tokens:
    """Tokens that the daemon accepts."""

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self._by_digest = {token.sha256: token for token in tokens}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._by_digest)

    def caller(self, secret: str, *, now: datetime) -> Caller | None:
        """Find the caller of a token; None where the token is unknown or has expired."""
        # The look-up is by digest, so that its duration tells nothing about the token's text.
        token = self._by_digest.get(digest(secret))
        if token is None or _is_over(token, now):
            return None
        return Caller(token)

    def knows(self, caller: Caller, *, now: datetime) -> bool:
        """Whether the caller's token is among these as it is, and has not expired."""
        return self._by_digest.get(caller.token.sha256) == caller.token and not _is_over(caller.token, now)

    def approvers(self, environments: Collection[str], *, now: datetime) -> frozenset[str]:
        """Return the subjects of whom one token lets them approve in each of those environments now."""
        valid = (token for token in self._by_digest.values() if not _is_over(token, now))
        return frozenset(
            token.subject for token in valid if not Caller(token).lacks(Role.APPROVER, environments)
        )


def _is_over(token: Token, now: datetime) -> bool:
    return token.expires_at is not None and token.expires_at <= now


def digest(secret: str) -> str:
    """SHA-256 of a token's text, as the file of tokens has it."""
    return hashlib.sha256(secret.encode()).hexdigest()


def parse_tokens(text: str, *, file: str) -> Tokens:
    """Make tokens of the text of the file `RESETD_API_TOKENS`.

    Raises:
        DocumentError: the file can't be used; the error names it, line and field.
    """
    tokens = parse_document(text, _FILE, file=file)
    digests = [token.sha256 for token in tokens]
    if len(set(digests)) != len(digests):
        twice = "two tokens have one sha256; every token needs its own"
        raise DocumentError([Flaw(file, 1, "", twice)])
    return Tokens(tokens)


def parse_operator_token(text: str, *, file: str) -> Tokens:
    """Make the operator's token, the only one, of the text of its file.

    Raises:
        DocumentError: the file holds no token.
    """
    return Tokens((_operator(_secret(text, file)),))


def operator_token(path: Path) -> str:
    """Read the operator's token in `path`, and make it (mode 0600) where there is none.

    The command line on the same machine reads the same file.

    Raises:
        DocumentError: the file holds no token.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        # The token is written under another name and then linked, so that nobody reads half of it. Of two processes
        # that make one at the same time, the first to link wins.
        fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"resetd_{secrets.token_urlsafe(32)}\n")
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
    return _secret(path.read_text(encoding="utf-8"), str(path))


def _secret(text: str, file: str) -> str:
    secret = text.strip()
    if len(secret) < _SHORTEST:
        empty = "holds no token; delete the file, the next start makes a new one"
        raise DocumentError([Flaw(file, 1, "", empty)])
    return secret


def _operator(secret: str) -> Token:
    return Token(
        name="operator-token",
        subject="operator",
        sha256=digest(secret),
        roles=tuple(Role),
        environments=("*",),
    )
