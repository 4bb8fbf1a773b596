"""A pod without Kubernetes: one service's image, an environment made from scratch, a real database, the journal."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from sandbox import journal
from sandbox.fleet import Environment, environment
from sandbox.postgres import ROLE, Fleet, start_fleet
from sandbox.services import contents, images
from sandbox.services.standins.controls import Control, put

_WITHIN = 60
_SEEDS = (
    *("seed", "seed:system", "seed:mock", "seed:sync", "seed:reset"),
    *("db:seed:data-builder", "populate-core-entities"),
)
_NUMBERS = itertools.count(1)  # a pod's name is used once, as the witness outlives the test
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

    def contents(self, variable: str = "DATABASE_URL") -> contents.Contents:
        """What is in the container's database."""
        return contents.read(self.urls[variable])

    def until(self, statement: str) -> None:
        """Wait until a query of the container's database answers true."""
        deadline = time.monotonic() + _WITHIN
        while self.query(statement) != [(True,)]:
            assert time.monotonic() < deadline, f"never true: {statement}"
            time.sleep(0.02)

    def end(self) -> None:
        """Let go of what was launched, which is dead by now."""
        for process in self._launched:
            process.communicate(timeout=_WITHIN)


@dataclass
class Pods:
    """Makes containers; every one a fresh copy of its image."""

    fleet: Fleet
    environment: Environment
    images: dict[str, Path]
    witness: journal.JournalProcess
    directory: Path
    made: list[Container] = field(default_factory=list)
    _fresh: set[str] = field(default_factory=set)

    @property
    def controls(self) -> Path:
        """SANDBOX_CONTROLS."""
        return self.directory / "controls"

    def container(self, service: str) -> Container:
        """A new container of a service."""
        for (owner, _), database in self.environment.databases.items():
            if owner == service and database not in self._fresh:
                self._fresh.add(database)
                self._empty(*database.split("/"))
        number = next(_NUMBERS)
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
        if not (self.controls / self.environment.name / f"{service}.json").exists():
            at_once = dict.fromkeys(_SEEDS, Control(seconds=0))
            put(self.controls, self.environment.name, service, **at_once)
        return made

    @staticmethod
    def until(condition: Callable[[], object]) -> None:
        """Wait until it holds."""
        deadline = time.monotonic() + _WITHIN
        while not condition():
            assert time.monotonic() < deadline, f"never held: {condition}"
            time.sleep(0.02)

    def kill(self, launch: journal.Launch, number: int) -> None:
        """Send a signal to one process, and with SIGKILL wait until the witness has seen its end."""
        os.kill(launch.host_pid, number)
        if number == signal.SIGKILL:
            self.until(lambda: not self.launch(launch.id).running)

    def launch(self, number: int) -> journal.Launch:
        """A launch as the witness knows it now."""
        return next(one for one in self.witness.read().launches if one.id == number)

    def end(self) -> None:
        """Kill what is left running, by the witness's pids: orphans too."""
        pods = {container.environ["SANDBOX_POD"] for container in self.made}
        for launch in self.witness.read().launches:
            if launch.pod in pods and launch.running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(launch.host_pid, signal.SIGKILL)
        for container in self.made:
            container.end()

    def innermost(self, pod: Container) -> journal.Launch:
        """The youngest running command of a container."""
        name = pod.environ["SANDBOX_POD"]
        return [one for one in self.witness.read().launches if one.pod == name and one.running][-1]

    def _empty(self, server: str, database: str) -> None:
        name, role = sql.Identifier(database), sql.Identifier(ROLE)
        with psycopg.connect(self.fleet.servers[server].superuser_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, role))


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
    """Containers on databases that are empty when a test first uses them."""
    made = Pods(fleet, ENVIRONMENT, built, witness, tmp_path)
    yield made
    made.end()
