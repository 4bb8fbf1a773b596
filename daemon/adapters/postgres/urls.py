"""Connection strings as pods have them, made fit for libpq and for where the daemon is in the network."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from psycopg.conninfo import make_conninfo

from daemon.adapters.postgres import tls
from daemon.adapters.postgres.hosts import outside
from daemon.ports.errors import PermanentError
from schemas.reasons import Reason

# Options that mean the same to libpq as to Prisma and TypeORM. Every other one is theirs alone (`schema`,
# `connection_limit`, `pgbouncer`, ...), names a file in the pod (`sslcert`, `sslidentity`), or is known to
# newer programs only (`sslnegotiation`).
_LIBPQ_OPTIONS = frozenset({"channel_binding", "gssencmode", "target_session_attrs", "options"})
# Options that libpq and node-postgres prefer to the URL's own parts, and Prisma does not read.
_DOUBLED = ("hostaddr", "port", "user", "password", "dbname", "database", "service")
# What libpq would else read from variables of the daemon's, which the programs do not get.
_SAID_ALWAYS: Mapping[str, str] = {
    "hostaddr": "",
    "sslmode": "prefer",
    "sslcert": "",
    "sslkey": "",
    "options": "",
    "target_session_attrs": "any",
}
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
class Network:
    """What the daemon is told about the network between it and the databases of pods."""

    hosts: Mapping[str, str] = field(default_factory=dict)
    """Name of a host, as it is outside its namespace -> the IP address at which the daemon reaches it."""
    authorities: Path | None = None
    """Certificates of the authorities that databases' certificates come from."""
    daemon: str = field(default_factory=lambda: secrets.token_hex(8))
    """16 hexadecimal digits by which the sessions of this daemon (all its workers) are told from those of others."""


_DIRECT = Network()


@dataclass(frozen=True)
class Address:
    """Where a database is, and who we are to it. As text it has no password."""

    host: str
    port: int
    user: str
    name: str
    password: str = field(repr=False)
    extra: dict[str, str] = field(default_factory=dict)
    hostaddr: str | None = None
    """The IP address of `host`, where the daemon was told; None: as the name resolves."""
    daemon: str = ""

    @property
    def session_name(self) -> str:
        """The `application_name` of the daemon's own sessions, and of what it starts but dumps."""
        return f"resetd {self.daemon}"

    def dump_name(self) -> str:
        """A new `application_name` for one dump. It has 44 bytes; PostgreSQL keeps 63."""
        return f"resetd-dump-{self.daemon}{secrets.token_hex(8)}"

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}/{self.name}"

    def conninfo(self, **more: str | int) -> str:
        """Return libpq's keywords and values, without the password: fit for an argument list.

        The daemon's own sessions and PostgreSQL's programs connect with these, so that the two behave alike.
        """
        known: dict[str, Any] = {
            **_SAID_ALWAYS,
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "dbname": self.name,
            "hostaddr": self.hostaddr or "",
            "application_name": self.session_name,
        }
        return make_conninfo(**(known | self.extra | more))

    def without_secret(self, text: str) -> str:
        """Mask the password in a message of the server or of a program."""
        return text.replace(self.password, "***") if self.password else text


def parse_address(url: str, environment: str, network: Network = _DIRECT) -> Address:
    """Read a URL as a pod of `environment` means it.

    Raises:
        PermanentError: `database-unidentified`, `database-local-to-pod`, `database-several-hosts`, `database-tls`; the
            message holds no part of the URL.
    """
    try:
        parts = urlsplit(url.strip())
        if parts.scheme not in {"postgres", "postgresql"}:
            raise _unreadable()
        said = dict(parse_qsl(parts.query, keep_blank_values=True))
        host = outside(_host(parts.netloc, said), environment)
        port, name = parts.port or _DEFAULT_PORT, unquote(parts.path.removeprefix("/"))
    except ValueError:
        raise _unreadable() from None  # its message may quote the URL
    if not name:
        raise _unreadable()
    address = Address(
        host=host,
        port=port,
        user=unquote(parts.username or ""),
        name=name,
        password=unquote(parts.password or ""),
        extra={key: value for key, value in said.items() if key in _LIBPQ_OPTIONS}
        | tls.libpq_options(said, network.authorities),
        hostaddr=network.hosts.get(host.removesuffix(".").lower()),
        daemon=network.daemon,
    )
    _check_said_once(address, said)
    return address


def _host(netloc: str, said: Mapping[str, str]) -> str:
    """Return the host, or all of several hosts. The parameter `host` counts more than the URL's own part."""
    if "host" in said:
        return said["host"]
    hosts = netloc.rpartition("@")[2]
    if "," in hosts:
        return hosts
    host = hosts[1:].partition("]")[0] if hosts.startswith("[") else hosts.partition(":")[0]
    return unquote(host)


def _check_said_once(address: Address, said: Mapping[str, str]) -> None:
    """Refuse a parameter that leads some clients elsewhere than the URL's own parts."""
    parts = {
        "port": str(address.port),
        "user": address.user,
        "password": address.password,
        "dbname": address.name,
        "database": address.name,
    }
    for name in _DOUBLED:
        if name in said and said[name] != parts.get(name):
            raise PermanentError(
                Reason.DATABASE_UNIDENTIFIED,
                f"the connection string's parameter {name} contradicts its other parts, so clients may differ",
                hint="Say it once: postgresql://user:password@host:5432/name.",
            )


def _unreadable() -> PermanentError:
    return PermanentError(
        Reason.DATABASE_UNIDENTIFIED,
        "the connection string is not a PostgreSQL URL with one host and a database",
        hint="It has to look like postgresql://user:password@host:5432/name.",
    )


DEFAULT_SCHEMA = "public"
"""Where Prisma has its tables unless the URL names a schema."""


def schema_of(url: str) -> str | None:
    """Return the schema that Prisma's URLs name, in which its tables are.

    Where the URL names none, a tool finds its tables on the session's search path (TypeORM) or in `DEFAULT_SCHEMA`.
    """
    return dict(parse_qsl(urlsplit(url.strip()).query)).get("schema")
