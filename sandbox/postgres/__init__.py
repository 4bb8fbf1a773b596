"""Real PostgreSQL servers for the sandbox platform, from the wheel, one cluster for each name.

`start` brings up one server, `copy` a second one of its data; `start_servers` brings up some of `sandbox.fleet.SERVERS`
with all databases that the fleet has on them. `binaries` is the directory with `pg_dump`, `pg_restore` and `psql` of
the same version.
"""

from sandbox.postgres.binaries import binaries
from sandbox.postgres.databases import ROLE, Fleet, start_fleet, start_servers
from sandbox.postgres.server import ADDRESS, POD_HOST, Server, ServerFailedError, copy, start

__all__ = [
    "ADDRESS",
    "POD_HOST",
    "ROLE",
    "Fleet",
    "Server",
    "ServerFailedError",
    "binaries",
    "copy",
    "start",
    "start_fleet",
    "start_servers",
]
