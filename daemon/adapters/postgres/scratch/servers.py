"""Chooses a scratch server of the administrators' file: the first that fits and lets its account create databases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from daemon.adapters.postgres.sessions import as_port_errors, connect
from daemon.adapters.postgres.urls import Address, Network, parse_address
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from schemas.admin_servers import AdminServer
from schemas.reasons import Reason

HINT = (
    "RESETD_PG_ADMIN_URLS_FILE names scratch servers (`scratch: true`). Without one the catalog has to say "
    "`proof: read`: backups are then read through, and restored nowhere."
)
_FACTS = """
SELECT (SELECT system_identifier FROM pg_control_system())::text, current_setting('server_version_num')::int,
       pg_is_in_recovery(), (SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user)
"""


@dataclass(frozen=True)
class ScratchServer:
    """A scratch server that was looked at just now."""

    name: str
    where: Address
    """Of its maintenance database."""
    version: int
    """`server_version_num`."""


class ScratchServers:
    """The scratch servers as the file names them at the moment.

    Args:
        servers: reads the file; raises PortError where it can't be used.
    """

    def __init__(self, servers: Callable[[], Sequence[AdminServer]], network: Network) -> None:
        self._servers = servers
        self._network = network

    async def choose(self, server_version: int, size_bytes: int) -> ScratchServer:
        """See `RestoreProofs.scratch_for`."""
        offered = [each for each in self._servers() if each.scratch]
        if not offered:
            raise _none("no scratch server is configured")
        unfit: list[str] = []
        silent: TemporaryError | None = None
        for each in offered:
            if each.max_bytes is not None and size_bytes > each.max_bytes:
                unfit.append(
                    f"{each.server} takes up to {each.max_bytes} bytes, the database has {size_bytes}"
                )
                continue
            try:
                found = await self._look(each)
            except TemporaryError as error:
                silent = error
                continue
            except PortError as error:
                unfit.append(f"{each.server}: {error.detail}")
                continue
            if found.version // 10_000 == server_version // 10_000:
                return found
            unfit.append(
                f"{each.server} is PostgreSQL {found.version // 10_000}, the database's server "
                f"{server_version // 10_000}"
            )
        if silent is not None:
            raise silent
        raise _none("; ".join(unfit))

    async def all(self) -> AsyncIterator[ScratchServer]:
        """Look at each scratch server.

        Raises:
            PortError: one does not answer.
        """
        for each in self._servers():
            if each.scratch:
                yield await self._look(each)

    async def _look(self, server: AdminServer) -> ScratchServer:
        where = parse_address(server.url.get_secret_value(), "", self._network)
        async with session(where) as connection:
            with as_port_errors(where):
                row = await (await connection.execute(_FACTS.encode())).fetchone()
        assert row is not None
        identifier, version, is_standby, may_create = row
        names = {identifier, f"{where.host}:{where.port}"}
        if server.server not in names:
            raise _none(f"its url leads to the server {identifier}")
        if is_standby:
            raise _none("it is a standby")
        if not may_create:
            raise _none(f"the role {where.user} may not create databases there")
        return ScratchServer(server.server, where, version)


@asynccontextmanager
async def session(where: Address) -> AsyncIterator[AsyncConnection[TupleRow]]:
    """Open a session of the daemon's that commits each statement.

    Raises:
        PortError: as a connection's.
    """
    with as_port_errors(where):
        connection = await connect(where, autocommit=True)
    try:
        yield connection
    finally:
        await connection.close()


def _none(detail: str) -> PermanentError:
    return PermanentError(Reason.NO_SCRATCH_SERVER, detail, hint=HINT)
