"""A connection string in Prisma's style, taken apart."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit


class Datasource(NamedTuple):
    """The database that a connection string names. `dsn` is for libpq; `schema` comes from the query."""

    dsn: str
    user: str
    address: str
    database: str
    schema: str

    @classmethod
    def parse(cls, url: str) -> Datasource:
        """Parse Prisma's `postgresql://user:password@host:port/database?schema=name`."""
        parts = urlsplit(url)
        schema = parse_qs(parts.query).get("schema", ["public"])[0]
        return cls(
            dsn=parts._replace(query="").geturl(),
            user=unquote(parts.username or ""),
            address=f"{parts.hostname}:{parts.port or 5432}",
            database=unquote(parts.path[1:]),
            schema=schema,
        )
