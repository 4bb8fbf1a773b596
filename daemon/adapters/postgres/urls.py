"""Connection strings as pods have them, made fit for libpq and for where the daemon is in the network."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from psycopg.conninfo import make_conninfo

from daemon.ports.errors import PermanentError
from schemas.reasons import Reason

# Options that mean the same to libpq as to Prisma and TypeORM. Every other one is theirs alone (`schema`,
# `connection_limit`, `pgbouncer`, ...) or names a file in the pod (`sslcert`, `sslidentity`).
_LIBPQ_OPTIONS = frozenset(
    {"sslmode", "sslnegotiation", "channel_binding", "gssencmode", "target_session_attrs", "options", "host"}
)
_DEFAULT_PORT = 5432
KEEPALIVE_OPTIONS: Mapping[str, int] = {
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""For `conninfo`: a server that vanishes without a word is noticed within half a minute, instead of a quarter of an
hour or more. They are not for connections that send much: a server that is busy, and does not read for so long, would
be taken for one that vanished."""


@dataclass(frozen=True)
class Address:
    """Where a database is, and who we are to it. As text it has no password."""

    host: str
    port: int
    user: str
    name: str
    password: str = field(repr=False)
    extra: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}/{self.name}"

    def conninfo(self, **more: str | int) -> str:
        """Return libpq's keywords and values, without the password: fit for an argument list."""
        known: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "dbname": self.name,
        }
        return make_conninfo(**(known | self.extra | more))

    def without_secret(self, text: str) -> str:
        """Mask the password in a message of the server or of a program."""
        return text.replace(self.password, "***") if self.password else text


def parse_address(url: str, environment: str) -> Address:
    """Read a URL as a pod of `environment` means it.

    Raises:
        PermanentError: `database-unidentified`; the message holds no part of the URL.
    """
    try:
        parts = urlsplit(url.strip())
        host, port, name = parts.hostname, parts.port or _DEFAULT_PORT, unquote(parts.path.removeprefix("/"))
        extra = {key: value for key, value in parse_qsl(parts.query) if key in _LIBPQ_OPTIONS}
    except ValueError:
        raise _unreadable() from None  # its message may quote the URL
    host = extra.pop("host", None) or (unquote(host) if host else None)
    if parts.scheme not in {"postgres", "postgresql"} or not host or not name:
        raise _unreadable()
    return Address(
        host=_outside_the_namespace(host, environment),
        port=port,
        user=unquote(parts.username or ""),
        name=name,
        password=unquote(parts.password or ""),
        extra=extra,
    )


def _outside_the_namespace(host: str, environment: str) -> str:
    """Name a host for use outside its namespace, where its short name does not resolve: `db` -> `db.qa-sandbox.svc`."""
    if "." in host or host.startswith("/") or host == "localhost":
        return host
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return f"{host}.{environment}.svc"
    return host


def _unreadable() -> PermanentError:
    return PermanentError(
        Reason.DATABASE_UNIDENTIFIED,
        "the connection string is not a PostgreSQL URL with one host and a database",
        hint="It has to look like postgresql://user:password@host:5432/name.",
    )
