"""A pod without Kubernetes: one service's image, an environment made from scratch, a real database, the journal."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from sandbox import journal
from sandbox.fleet import Environment, environment
from sandbox.postgres import Fleet, start_fleet
from sandbox.services import images

_WITHIN = 60
ENVIRONMENT = environment("qa-sandbox")


@dataclass
class Container:
    """A container of a service: commands run in its own copy of the image."""

    service: str
    directory: Path
    environ: dict[str, str]
    urls: dict[str, str]
    _launched: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, command: str, attempt: str | None = None, **more: str) -> subprocess.Popen[str]:
        """Launch `sh -c command` in a session of its own, as an exec does."""
        environ = {**self.environ, **more}
        if attempt:
            environ["RESETD_ATTEMPT"] = attempt
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            cwd=self.directory,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._launched.append(process)
        return process

    def sh(self, command: str, attempt: str | None = None, **more: str) -> tuple[int, str, str]:
        """Run it to its end: exit code, standard output, standard error."""
        process = self.start(command, attempt, **more)
        out, err = process.communicate(timeout=_WITHIN)
        return process.returncode, out, err

    def ok(self, command: str) -> str:
        """Run it to its end, which must be 0: its standard output."""
        code, out, err = self.sh(command)
        assert code == 0, f"{command}: {code}\n{out}\n{err}"
        return out

    def query(self, statement: str, variable: str = "DATABASE_URL") -> list[tuple[object, ...]]:
        """Ask the container's database."""
        with psycopg.connect(self.urls[variable].partition("?")[0], autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def end(self) -> None:
        """Kill what was left running."""
        for process in self._launched:
            if process.poll() is None:
                os.killpg(process.pid, 9)
            process.communicate()


@dataclass
class Pods:
    """Makes containers; every one a fresh copy of its image."""

    fleet: Fleet
    environment: Environment
    images: dict[str, Path]
    witness: journal.JournalProcess
    directory: Path
    made: list[Container] = field(default_factory=list)

    @property
    def controls(self) -> Path:
        """SANDBOX_CONTROLS."""
        return self.directory / "controls"

    def container(self, service: str) -> Container:
        """A new container of a service."""
        number = len(self.made)
        directory = self.directory / f"{service}-{number}"
        shutil.copytree(self.images[service], directory)
        urls = self.fleet.urls()[self.environment.name][service]
        environ = {
            "PATH": f"{directory}/bin:/usr/bin:/bin",
            "SANDBOX_JOURNAL": str(self.witness.socket),
            "SANDBOX_CONTROLS": str(self.controls),
            "SANDBOX_NAMESPACE": self.environment.name,
            "SANDBOX_POD": f"{service}-pod-{number}",
            "SANDBOX_CONTAINER_ID": f"containerd://{number}",
            "SANDBOX_SERVICE": service,
            **urls,
        }
        made = Container(service, directory, environ, urls)
        self.made.append(made)
        return made


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """A short path that every user may enter: for sockets, and for PostgreSQL's account."""
    directory = Path(tempfile.mkdtemp(prefix="resetd-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def fleet(place: Path) -> Iterator[Fleet]:
    running = start_fleet(place / "postgres", [ENVIRONMENT])
    yield running
    running.stop()


@pytest.fixture(scope="session")
def built(place: Path) -> dict[str, Path]:
    return images.build(place / "images")


@pytest.fixture(scope="session")
def witness(place: Path) -> Iterator[journal.JournalProcess]:
    running = journal.start(place / "journal")
    yield running
    running.stop()


@pytest.fixture
def pods(
    fleet: Fleet, built: dict[str, Path], witness: journal.JournalProcess, tmp_path: Path
) -> Iterator[Pods]:
    """Containers on empty databases."""
    for server in fleet.servers.values():
        with psycopg.connect(server.superuser_url, autocommit=True) as connection:
            for (database,) in connection.execute(
                "SELECT datname FROM pg_database WHERE datname NOT IN ('postgres') AND NOT datistemplate"
            ).fetchall():
                name = sql.Identifier(database)
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER fuse").format(name))
    made = Pods(fleet, ENVIRONMENT, built, witness, tmp_path)
    yield made
    for container in made.made:
        container.end()
