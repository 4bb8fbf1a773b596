"""The fleet's servers with its databases, which belong to a plain role without privileges of the server."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from sandbox.fleet import FLEET, Environment, environment
from sandbox.postgres.server import ADDRESS, POD_HOST, Server, start

ROLE = "fuse"


@dataclass(frozen=True)
class Fleet:
    """The running servers by name, and the password of `ROLE` on each."""

    servers: dict[str, Server]
    passwords: dict[str, str]

    def url(self, place: str) -> str:
        """A connection string of `server/database` for this machine."""
        return self._url(place, Server.url)

    def pod_url(self, place: str) -> str:
        """The connection string that services get for `server/database`."""
        return self._url(place, Server.pod_url)

    def urls(self) -> dict[str, dict[str, dict[str, str]]]:
        """What leads to the databases of all pods from this machine: {environment: {service: {variable: url}}}."""
        return self._variables(self.url)

    def pod_urls(self) -> dict[str, dict[str, dict[str, str]]]:
        """The variables of all pods, as `urls` has them."""
        return self._variables(self.pod_url)

    def _url(self, place: str, form: Callable[[Server, str, str, str], str]) -> str:
        server, _, database = place.partition("/")
        return form(self.servers[server], database, ROLE, self.passwords[server])

    def _variables(self, url: Callable[[str], str]) -> dict[str, dict[str, dict[str, str]]]:
        answer: dict[str, dict[str, dict[str, str]]] = {}
        for member in FLEET:
            for (service, variable), place in member.databases.items():
                if place.partition("/")[0] in self.servers:
                    of_environment = answer.setdefault(member.name, {})
                    of_environment.setdefault(service, {})[variable] = url(place)
        return answer

    def admin_urls(self) -> list[dict[str, Any]]:
        """The file of administrators' accounts: each server is a scratch server as well."""
        return [
            {
                "server": f"{POD_HOST}:{server.port}",
                "url": server.superuser_url.replace(ADDRESS, POD_HOST),
                "scratch": True,
            }
            for _, server in sorted(self.servers.items())
        ]

    def places(
        self, environments: Iterable[str], wanted: Callable[[str, str], bool]
    ) -> list[tuple[Server, list[str]]]:
        """The databases of the services of these environments for which `wanted(environment, service)`, by server."""
        found: dict[str, set[str]] = {}
        for name in environments:
            for (service, _), place in environment(name).databases.items():
                server, _, database = place.partition("/")
                if wanted(name, service):
                    found.setdefault(server, set()).add(database)
        return [(self.servers[name], sorted(databases)) for name, databases in sorted(found.items())]

    def stop(self) -> None:
        """Stop every server and delete its data."""
        for server in list(self.servers.values()):
            server.discard()


def start_fleet(directory: Path, environments: Iterable[Environment] = FLEET) -> Fleet:
    """Start the servers that `environments` use, two at a time, and create their databases.

    Raises:
        ServerFailedError: a server did not come up; the others are stopped again.
    """
    places = {place for member in environments for place in member.databases.values()}
    names = sorted({place.partition("/")[0] for place in places})
    passwords = {name: secrets.token_urlsafe(18) for name in names}
    servers: dict[str, Server] = {}

    def bring_up(name: str) -> None:
        server = servers[name] = start(directory, name)
        here = sorted(place.partition("/")[2] for place in places if place.startswith(f"{name}/"))
        create(server, here, passwords[name])

    fleet = Fleet(servers, passwords)
    try:
        with ThreadPoolExecutor(max_workers=2) as pool:
            list(pool.map(bring_up, names))
    except BaseException:
        fleet.stop()
        raise
    return fleet


def start_servers(directory: Path, names: Iterable[str]) -> Fleet:
    """Start each server with all databases that the fleet has on it, so a later environment finds its own."""
    wanted = [
        Environment(f"{name}-{number}", {key: place})
        for name in sorted(names)
        for member in FLEET
        for number, (key, place) in enumerate(member.databases.items())
        if place.startswith(f"{name}/")
    ]
    return start_fleet(directory, wanted)


def create(server: Server, databases: Iterable[str], password: str) -> None:
    """Create `ROLE` and the databases that it owns. It can neither create databases nor see other roles' secrets."""
    with psycopg.connect(server.superuser_url, autocommit=True) as connection:
        role = sql.Identifier(ROLE)
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}").format(
                role, sql.Literal(password)
            )
        )
        for database in databases:
            name = sql.Identifier(database)
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, role))
