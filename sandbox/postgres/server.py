"""One PostgreSQL server: a cluster of its own, with its own system identifier, on a port of 127.0.0.1."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from sandbox.postgres import guard
from sandbox.postgres.binaries import account, binaries

POD_HOST = "databases.sandbox.test"
"""The host of all servers as pods have it. A pod's `localhost` is its own, so theirs needs another name."""
ADDRESS = "127.0.0.1"
"""Where `POD_HOST` is: libpq in the pods reads it from PGHOSTADDR, the daemon from RESETD_DATABASE_HOSTS."""
_UP_WITHIN = 30.0
_DOWN_WITHIN = 30.0

# Small and quick: the sandbox is thrown away, so no write waits for a disk.
_SETTINGS = {
    "listen_addresses": ADDRESS,
    "unix_socket_directories": "",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "64MB",
    "autovacuum_max_workers": "1",
    "autovacuum_naptime": "60s",
    "max_worker_processes": "1",
    "max_parallel_workers": "0",
    "max_logical_replication_workers": "0",
    "jit": "off",
    "scram_iterations": "1",  # a login is as it is, and costs no client 4,096 rounds: these passwords are random
    "log_connections": "on",  # with the application's name: a witness of who reached which database
}


class ServerFailedError(RuntimeError):
    """A server was not initialised or did not come up; the message ends with its last log lines."""


@dataclass
class Server:
    """A running server. `superuser_url` is of the database `postgres`; `data` is the cluster's directory."""

    name: str
    data: Path
    port: int
    superuser_url: str
    log: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings that go before the sandbox's own, which keep nothing through a power cut."""
    _process: subprocess.Popen[bytes] | None = None

    def url(self, database: str, role: str, password: str) -> str:
        """A connection string for this machine in Prisma's style; libpq's tools need it without `?schema=public`."""
        return f"postgresql://{role}:{password}@{ADDRESS}:{self.port}/{database}?schema=public"

    def pod_url(self, database: str, role: str, password: str) -> str:
        """The same connection string as a pod has it."""
        return f"postgresql://{role}:{password}@{POD_HOST}:{self.port}/{database}?schema=public"

    def stop(self) -> None:
        """Cut all sessions and shut down; nothing happens when the server is down already."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin:
            with contextlib.suppress(BrokenPipeError):  # the server ended by itself
                process.stdin.write(guard.ORDERLY)
                process.stdin.close()
        process.wait(_DOWN_WITHIN)

    def start_again(self) -> None:
        """Start after `stop` on the same port with the same data."""
        if self._process is None:
            self._run()

    def restart(self) -> None:
        """Stop and start on the same port: every session is cut, as in a failover."""
        self.stop()
        self.start_again()

    def discard(self) -> None:
        """Stop and delete the cluster."""
        self.stop()
        shutil.rmtree(self.data.resolve(), ignore_errors=True)
        if self.data.is_symlink():
            self.data.unlink()

    def _run(self) -> None:
        settings = [f"-c{key}={value}" for key, value in {**_SETTINGS, **self.settings}.items()]
        postgres = [str(binaries() / "postgres"), "-D", str(self.data.resolve()), f"-p{self.port}"]
        owner = account()
        ids = [str(owner.pw_uid), str(owner.pw_gid)] if owner else ["-1", "-1"]
        scratch = str(self.data.resolve()) if self.data.is_symlink() else "-"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", guard.__file__, *ids, scratch, *postgres, *settings],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                start_new_session=True,  # Ctrl-C reaches the platform alone, which stops its parts in order
            )
        self._await_up(self._process)

    def _await_up(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _UP_WITHIN
        while True:
            try:
                psycopg.connect(self.superuser_url, connect_timeout=5).close()
            except psycopg.OperationalError as error:
                late = time.monotonic() > deadline
                if process.poll() is not None or late:
                    self.stop()
                    tail = self.log.read_text(errors="replace")[-1000:]
                    raise ServerFailedError(f"{self.name} did not come up: {tail}") from error
                time.sleep(0.02)
            else:
                return


def start(directory: Path, name: str, settings: Mapping[str, str] | None = None) -> Server:
    """Make a new cluster `name` below `directory` and start it; `settings` go before the sandbox's own.

    Where `nobody` can't enter `directory` (a 0700 home, pytest's), the cluster lies in the machine's temporary
    directory, and `directory/name` is a link to it; `Server.discard` removes both.

    Raises:
        ServerFailedError: initdb failed, or the server was not up within 30 s.
    """
    directory.mkdir(parents=True, exist_ok=True)
    data = _place(directory, name)
    password = secrets.token_urlsafe(18)
    _initialise(data, password)
    return _on_free_port(directory, name, password, settings or {})


def copy(server: Server, directory: Path, name: str, *, standby: bool = False) -> Server:
    """Make a second server `name` of a server's data, and start it on another port.

    It has the system identifier, databases, roles and passwords of the first one, which is stopped meanwhile, so that
    its sessions are cut. A `standby` stays in recovery; it needs a first one whose `wal_level` is `replica`.

    Raises:
        ServerFailedError: the copy was not up within 30 s.
    """
    directory.mkdir(parents=True, exist_ok=True)
    data = _place(directory, name)
    server.stop()
    try:
        shutil.copytree(server.data.resolve(), data, dirs_exist_ok=True)
        owner = account()
        if owner is not None:
            for path in (data, *data.rglob("*")):
                os.chown(path, owner.pw_uid, owner.pw_gid)
    finally:
        server.start_again()
    if standby:
        (data / "standby.signal").touch()
    password = urlsplit(server.superuser_url).password or ""
    return _on_free_port(directory, name, password, server.settings)


def _on_free_port(directory: Path, name: str, password: str, settings: Mapping[str, str]) -> Server:
    failures: list[ServerFailedError] = []
    for _ in range(5):
        port = _free_port()
        server = Server(
            name=name,
            data=directory / name,
            port=port,
            superuser_url=f"postgresql://postgres:{password}@{ADDRESS}:{port}/postgres",
            log=directory / f"{name}.log",
            settings=settings,
        )
        try:
            server.start_again()
        except ServerFailedError as error:  # another process may have taken the port meanwhile
            failures.append(error)
        else:
            return server
    raise failures[-1]


def _place(directory: Path, name: str) -> Path:
    wanted = directory / name
    owner = account()
    if owner is None:
        wanted.mkdir(mode=0o700)
        return wanted
    if all(parent.stat().st_mode & 0o001 for parent in (directory, *directory.resolve().parents)):
        wanted.mkdir(mode=0o700)
        place = wanted
    else:
        place = Path(tempfile.mkdtemp(prefix=f"resetd-postgres-{name}-"))
        wanted.symlink_to(place)
    shutil.chown(place, owner.pw_uid, owner.pw_gid)
    return place


def _initialise(data: Path, password: str) -> None:
    """Run `initdb` for each cluster anew: a copy of a cluster has the same system identifier."""
    owner = account()
    with tempfile.NamedTemporaryFile("w", prefix="resetd-postgres-") as secret:
        secret.write(password)
        secret.flush()
        if owner:
            shutil.chown(secret.name, owner.pw_uid, owner.pw_gid)
        done = subprocess.run(
            [
                str(binaries() / "initdb"),
                f"--pgdata={data.resolve()}",
                "--username=postgres",
                f"--pwfile={secret.name}",
                "--auth=scram-sha-256",
                f"--set=scram_iterations={_SETTINGS['scram_iterations']}",
                "--encoding=UTF8",
                "--locale=C",
                "--wal-segsize=1",
                "--no-sync",
                "--no-instructions",
            ],
            user=owner.pw_uid if owner else None,
            group=owner.pw_gid if owner else None,
            extra_groups=[] if owner else None,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise ServerFailedError(f"initdb of {data}: {done.stderr[-1000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        port: int = probe.getsockname()[1]
        return port
