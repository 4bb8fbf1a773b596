"""G3: pg_dump connects as the daemon's sessions do. It needs a server and programs of the system's that know TLS."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from daemon.adapters.dumps.directory import DirectoryDumps
from daemon.adapters.postgres.backups import PostgresBackups
from daemon.adapters.postgres.databases import PostgresDatabases
from daemon.adapters.postgres.urls import Network
from sandbox.kubernetes.api import certificates
from sandbox.postgres import ADDRESS, POD_HOST
from sandbox.postgres.binaries import account
from tests.contract.backups.conftest import ENVIRONMENT
from tests.contract.conftest import PASSWORD

INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
UP_WITHIN = 20.0


@pytest.fixture(scope="module")
def encrypted() -> Iterator[tuple[int, Path]]:
    """Run a server that takes nothing but TLS; its port, and the certificate of its authority."""
    if not INSTALLED:
        pytest.skip("the embedded PostgreSQL has no TLS, and the system has none of its own")
    owner = account()
    place = Path(tempfile.mkdtemp(prefix="resetd-tls-"))
    who = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if owner else {}
    data, secret = place / "data", place / "password"
    secret.write_text(PASSWORD)
    certificates.ensure(place, POD_HOST)
    for path in (place, *place.iterdir()) if owner else ():
        assert owner is not None
        shutil.chown(path, owner.pw_uid, owner.pw_gid)
    initdb = [INSTALLED[-1].with_name("initdb"), "-D", data, "-U", "fuse", f"--pwfile={secret}", "-N"]
    subprocess.run([*initdb, "--auth=scram-sha-256"], check=True, capture_output=True, cwd="/", **who)  # type: ignore[call-overload]
    (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        port: int = probe.getsockname()[1]
    settings = {
        "listen_addresses": ADDRESS,
        "unix_socket_directories": "",
        "ssl": "on",
        "ssl_cert_file": str(place / certificates.CERTIFICATE),
        "ssl_key_file": str(place / certificates.KEY),
    }
    argv = [
        INSTALLED[-1],
        "-D",
        data,
        f"-p{port}",
        *(f"-c{name}={value}" for name, value in settings.items()),
    ]
    with (place / "log").open("wb") as log:
        running = subprocess.Popen(argv, stderr=log, stdout=log, cwd="/", **who)  # type: ignore[call-overload]
    try:
        _await_up(port, running)
        yield port, place / certificates.AUTHORITY
    finally:
        running.terminate()
        running.wait(20)
        shutil.rmtree(place, ignore_errors=True)


def _await_up(port: int, running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + UP_WITHIN
    while time.monotonic() < deadline:
        try:
            psycopg.connect(
                f"host={ADDRESS} port={port} user=fuse dbname=postgres connect_timeout=5", password=PASSWORD
            ).close()
        except psycopg.OperationalError:
            assert running.poll() is None
            time.sleep(0.02)
        else:
            return
    raise AssertionError("the server did not come up")


@pytest.mark.parametrize(
    "query", ["sslmode=no-verify", "ssl=true", "sslmode=require", "sslmode=verify-full", "sslmode=verify-ca"]
)
async def test_g3_pg_dump_connects_as_the_sessions_do(
    encrypted: tuple[int, Path], tmp_path: Path, query: str
) -> None:
    port, authorities = encrypted
    network = Network({POD_HOST: ADDRESS}, authorities)
    url = f"postgresql://fuse:{PASSWORD}@{POD_HOST}:{port}/postgres?{query}"
    async with PostgresDatabases(network).witness(url, environment=ENVIRONMENT) as witness:
        backup = await PostgresBackups(DirectoryDumps(tmp_path), INSTALLED[-1].parent, network).dump(
            url,
            environment=ENVIRONMENT,
            resource=witness.identity.key,
            attempt="r/backup.core/1",
            witness=witness,
        )
    assert backup.proven
