"""The handshake: the one SQL statement by which a service's own tool tells the daemon which database it reaches."""

from __future__ import annotations

import re

from schemas.catalog.catalog import Handshake
from schemas.catalog.steps import STATEMENT

NONCE_BYTES = 16
"""Random bytes of a nonce, which is written in hexadecimal digits."""
_NONCE = re.compile(rf"[0-9a-f]{{{2 * NONCE_BYTES}}}")


def statement(handshake: Handshake, nonce: str) -> tuple[tuple[str, ...], bytes | None]:
    """Return argv and stdin with which the service's own tool sends `nonce` in the database that it reaches.

    The argument `{statement}` becomes the SQL. Where the handshake has no such argument, the tool reads the SQL from
    stdin: one line that ends with a semicolon, because some tools read line by line.

    Raises:
        ValueError: `nonce` is none of `NONCE_BYTES` bytes.
    """
    if not _NONCE.fullmatch(nonce):
        raise ValueError("a nonce has 32 hexadecimal digits")
    sql = f"SELECT pg_notify('resetd','{nonce}')"
    if STATEMENT not in handshake.argv:
        return handshake.argv, f"{sql};\n".encode()
    return tuple(sql if argument == STATEMENT else argument for argument in handshake.argv), None
