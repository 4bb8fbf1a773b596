"""The file of administrators' accounts: on which servers the daemon may make and rename databases, and as whom."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints

from schemas.wire import Wire


class AdminServer(Wire):
    """One server of the file, which is a list of them."""

    server: Annotated[str, StringConstraints(pattern=r"^([0-9]{1,20}|[^\s/@:]+:[0-9]{1,5})$", max_length=260)]
    """Its system identifier (`SELECT system_identifier FROM pg_control_system()`), or `HOST:PORT`."""
    url: SecretStr
    """`postgresql://USER:PASSWORD@HOST:PORT/postgres`: an account with CREATEDB, and a database that it connects to."""
    scratch: bool = False
    """Whether backups may be restored there to prove them."""
    max_bytes: Annotated[int | None, Field(ge=1)] = None
    """Of a scratch server: the largest database that may be restored there; none: any."""
