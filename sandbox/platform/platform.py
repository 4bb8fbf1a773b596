"""The whole platform on one machine: journal, Kafka, PostgreSQL, GitHub, Kubernetes with its services.

Each part is a child process that ends with this one, even by SIGKILL. Everything lies in one directory:

    platform.json     where what is, with the databases' URLs for this machine (0600)
    resetd.env        RESETD_* variables for the daemon, one `NAME=value` a line (0600)
    journal.jsonl     what was launched in the pods, by the independent witness
    controls/         how the stand-ins behave (`sandbox.services.standins.controls`)
    faults/           what is armed and what has hit (`sandbox.faults`)
    pg-bin/           PostgreSQL's programs for the daemon, with a pg_dump that may run into a full disk
    kafka.log, github.log, github/, postgres/, images/, kubernetes/

A run keeps nothing of the run before.

Over 300 lines: the parts of one platform, started and stopped in one order.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

from sandbox import fleet, journal, postgres
from sandbox.faults import Fault, Faults
from sandbox.faults.armoury import Armoury
from sandbox.faults.injection import Injection
from sandbox.github.people import People
from sandbox.kubernetes import launch
from sandbox.kubernetes.api_server_faults import ApiServerFaults
from sandbox.kubernetes.control import Cluster
from sandbox.platform import child_processes
from sandbox.platform.directory import alone, private
from sandbox.postgres import dump_faults
from sandbox.postgres.faults import DatabaseFaults
from sandbox.postgres.state_database import StateDatabase
from sandbox.services import contents, dirt, images
from sandbox.services.standins import controls

_READY_WITHIN = 120.0
_PARALLEL_STARTS = 4
Say = Callable[[str], None]


def _silent(_: str) -> None:
    """Say nothing."""


@dataclass
class Platform:
    """A running platform; made by `Platform.start`."""

    directory: Path
    kafka: child_processes.Child
    hub: child_processes.Child
    witness: journal.JournalProcess
    databases: postgres.Fleet
    cluster: Cluster
    environments: list[str] = field(default_factory=list)
    """The names of the provisioned environments."""
    say: Say = _silent

    def __post_init__(self) -> None:
        armoury = Armoury(self.directory / "faults")
        self._state = StateDatabase(armoury, self.directory / "postgres")
        injectors = (
            DatabaseFaults(armoury, self._places).injectors()
            | ApiServerFaults(armoury, lambda: self.cluster, self.start_kubernetes).injectors()
            | self._state.injectors()
        )
        self._injection = Injection(armoury, injectors, passing=(psycopg.Error, httpx.HTTPError))
        self._injection.start()

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls,
        directory: Path,
        *,
        environments: Iterable[str] | None = None,
        say: Say = _silent,
        ready_within: float = _READY_WITHIN,
    ) -> AsyncIterator[Platform]:
        """Run the platform with these environments (None: the whole fleet); their pods are ready inside.

        Raises:
            PlatformRunningError: the directory is in use.
            KeyError: the fleet has no such environment.
        """
        chosen = (
            [environment.name for environment in fleet.FLEET] if environments is None else list(environments)
        )
        with alone(directory):
            began = time.monotonic()
            platform = await asyncio.to_thread(_bring_up, cls, directory, chosen, say)
            try:
                await platform.until_ready(chosen, within=ready_within)
                say(f"up after {time.monotonic() - began:.1f} s")
                yield platform
            finally:
                await asyncio.to_thread(platform.stop)

    async def provision(self, *environments: str, within: float = _READY_WITHIN) -> None:
        """Add environments of the fleet to the running platform and wait for their pods."""
        await asyncio.to_thread(self.add_databases, environments)
        for environment in environments:
            await self.cluster.provision(environment)
        await self.until_ready(environments, within=within)

    async def until_ready(self, environments: Iterable[str], *, within: float = _READY_WITHIN) -> None:
        """Wait until the pods of these environments have run their start scripts."""
        names = list(environments)
        self.say(f"start scripts of {', '.join(names)} migrate and seed")
        await self.cluster.until_ready(names, within=within)

    def stop(self) -> None:
        """End every part of the platform."""
        self._injection.stop()
        self._state.stop()
        _stop_all([self.cluster.running.stop, self.kafka.stop, self.hub.stop])
        _stop_all([self.databases.stop, self.witness.stop])

    @property
    def github(self) -> People:
        """The control of GitHub: what people do there, and what breaks there."""
        return People(**self.hub.ready)

    @property
    def faults(self) -> Faults:
        """The control of the platform's faults."""
        return Faults(self.directory / "faults")

    @property
    def bootstrap(self) -> str:
        """Kafka's `host:port`."""
        return str(self.kafka.ready["bootstrap"])

    def environment(self) -> dict[str, str]:
        """The variables for a daemon, except DATA_DIR and the API's address, which each daemon has of its own."""
        return {
            "RESETD_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "RESETD_KAFKA_SESSION_TIMEOUT": "3s",
            "RESETD_KUBECONFIG": str(self.cluster.daemons_kubeconfig),
            "RESETD_ARGOCD_NAMESPACE": "argocd",
            "RESETD_GITHUB_API_URL": self.github.url,
            "RESETD_GITHUB_OWNER": self.github.owner,
            "RESETD_GITHUB_TOKEN": self.github.token,
            "RESETD_PG_BIN": str(self.directory / "pg-bin"),
            "RESETD_PG_ADMIN_URLS_FILE": str(self.directory / "admin-urls.json"),
            "RESETD_DATABASE_HOSTS": f"{postgres.POD_HOST}={postgres.ADDRESS}",
        }

    def postgres_url(self, environment: str, service: str, variable: str = "DATABASE_URL") -> str:
        """The connection string that a service's pods get; KeyError when the fleet has no such variable."""
        return self.databases.url(fleet.environment(environment).databases[service, variable])

    def state_url(self, database: str = "resetd") -> str:
        """A database for a daemon's own state, made when it is missing, on the server that `state-*` faults hit."""
        return self._state.url(database)

    def journal_reader(self) -> journal.Journal:
        """Read what the witness recorded until now."""
        return self.witness.read()

    def control(self, environment: str, service: str, **commands: controls.Control) -> None:
        """Tell stand-ins how to behave: `control("qa-sandbox", "los-core-api", **{"seed:system": Control(...)})`."""
        controls.put(self.directory / "controls", environment, service, **commands)

    def clear_controls(self) -> None:
        """Take back every control."""
        controls.clear(self.directory / "controls")

    def dirty(self, environment: str) -> None:
        """Put into each service's database what people leave there."""
        for service in fleet.SERVICES:
            dirt.dirty(self.postgres_url(environment, service), service)

    def contents(self, environment: str) -> dict[str, contents.Contents]:
        """Read the contents of each database of an environment, by `server/database`."""
        places = sorted(set(fleet.environment(environment).databases.values()))
        return {place: contents.read(self.databases.url(place)) for place in places}

    def start_kubernetes(self) -> None:
        """Start a killed API server again with its stored objects at the same address; it blocks."""
        self.cluster = Cluster(_start_kubernetes(self.directory, self.witness, ()))

    def _places(self, fault: Fault) -> list[tuple[postgres.Server, list[str]]]:
        """The servers and databases that a fault is meant for."""
        return self.databases.places(self.environments, fault.meets)

    def add_databases(self, environments: Iterable[str]) -> None:
        """Start the servers that these environments of the fleet need, with their databases, but no pod."""
        for name in environments:
            fleet.environment(name)
            if name not in self.environments:
                self.environments.append(name)
        missing = fleet.servers_of(self.environments) - self.databases.servers.keys()
        added = postgres.start_servers(self.directory / "postgres", missing)
        self.databases.servers.update(added.servers)
        self.databases.passwords.update(added.passwords)
        self._write()

    def _write(self) -> None:
        urls, pod_urls = self.databases.urls(), self.databases.pod_urls()
        (self.directory / "admin-urls.json").write_text(json.dumps(self.databases.admin_urls()))
        description: dict[str, Any] = {
            "pid": os.getpid(),
            "kafka": self.kafka.ready,
            "github": self.hub.ready,
            "kubernetes": {
                "url": self.cluster.running.ready["url"],
                "kubeconfig": str(self.cluster.kubeconfig),
            },
            "journal": str(self.witness.file),
            "controls": str(self.directory / "controls"),
            "environments": self.environments,
            "databases": {name: urls[name] for name in self.environments},
        }
        lines = [f"{name}={value}\n" for name, value in self.environment().items()]
        private(self.directory / "environments.json", _of(self.environments, pod_urls))
        private(self.directory / "platform.json", json.dumps(description, indent=1) + "\n")
        private(self.directory / "resetd.env", "".join(lines))


def _bring_up(cls: type[Platform], directory: Path, environments: list[str], say: Say) -> Platform:
    """Start every part, at the same time where no part needs another; if one fails, those that came up end."""
    with contextlib.ExitStack() as undo, ThreadPoolExecutor(max_workers=3) as pool:
        (directory / "controls").mkdir()
        say("journal, Kafka, GitHub, PostgreSQL and images")
        witness = journal.start(directory)
        undo.callback(witness.stop)
        built = pool.submit(images.build, directory / "images")
        servers = pool.submit(postgres.start_servers, directory / "postgres", fleet.servers_of(environments))
        faults = ["--faults", str(directory / "faults")]
        dump_faults.make(
            directory / "pg-bin",
            faults=directory / "faults",
            environments=directory / "environments.json",
            programs=postgres.binaries(),
        )
        # Two brokers, so that leaders can move.
        brokers = ["--brokers", "2", *faults]
        kafka = pool.submit(child_processes.start, "sandbox.kafka", brokers, log=directory / "kafka.log")
        hub = pool.submit(
            child_processes.start,
            "sandbox.github",
            ["--directory", str(directory / "github"), *faults],
            log=directory / "github.log",
        )
        for part in (kafka, hub, servers):
            undo.callback(part.result().stop)
        built.result()
        databases = servers.result()
        private(directory / "environments.json", _of(environments, databases.pod_urls()))
        say("Kubernetes")
        running = _start_kubernetes(directory, witness, environments)
        undo.callback(running.stop)
        platform = cls(
            directory=directory,
            kafka=kafka.result(),
            hub=hub.result(),
            witness=witness,
            databases=databases,
            cluster=Cluster(running),
            environments=environments,
            say=say,
        )
        platform._write()
        undo.pop_all()
    return platform


def _of(environments: Iterable[str], variables: Mapping[str, object]) -> str:
    """The variables of these environments, as JSON."""
    return json.dumps({name: variables[name] for name in environments}, indent=1)


def _start_kubernetes(
    directory: Path, witness: journal.JournalProcess, environments: Iterable[str]
) -> launch.Running:
    return launch.start(
        launch.Arguments(
            directory=directory / "kubernetes",
            images=directory / "images",
            environment_file=directory / "environments.json",
            journal=witness.socket,
            controls=directory / "controls",
            faults=directory / "faults",
            environments=tuple(environments),
            parallel_starts=_PARALLEL_STARTS,
        )
    )


def _stop_all(stops: Iterable[Callable[[], None]]) -> None:
    """Call all at the same time; one that fails does not stop the others."""
    with ThreadPoolExecutor() as pool:
        stopped = [pool.submit(stop) for stop in stops]
    for stop in stopped:
        stop.result()
