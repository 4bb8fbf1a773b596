"""G3: TLS as connection strings of several clients ask for it, on a server that takes nothing else."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.adapters.postgres.databases import PostgresDatabases
from daemon.adapters.postgres.errors import program_error
from daemon.adapters.postgres.urls import Network, parse_address
from daemon.ports.errors import PermanentError
from sandbox.kubernetes.api import certificates
from sandbox.postgres import ADDRESS, POD_HOST, Server, fronts
from schemas.reasons import Reason
from tests.contract.conftest import PASSWORD

ENVIRONMENT = "qa-sandbox"
OTHER_HOST = "other.sandbox.test"


@pytest.fixture
async def port(server: Server, tmp_path: Path) -> AsyncIterator[int]:
    """Serve TLS with a certificate of an authority that no system knows."""
    context: ssl.SSLContext = certificates.ensure(tmp_path, POD_HOST)
    async with fronts.tls(server.port, context) as port:
        yield port


def network(authorities: Path | None = None) -> Network:
    return Network({POD_HOST: ADDRESS, OTHER_HOST: ADDRESS}, authorities)


async def answers(port: int, query: str, reach: Network, host: str = POD_HOST) -> bool:
    url = f"postgresql://fuse:{PASSWORD}@{host}:{port}/core?{query}"
    return (await PostgresDatabases(reach).identify(url, environment=ENVIRONMENT)).name == "core"


async def refusal(port: int, query: str, reach: Network, host: str = POD_HOST) -> PermanentError:
    with pytest.raises(PermanentError) as raised:
        await answers(port, query, reach, host)
    assert raised.value.reason is Reason.DATABASE_TLS
    assert "RESETD_DATABASE_CA_FILE" in (raised.value.hint or "")
    assert PASSWORD not in str(raised.value)
    return raised.value


@pytest.mark.parametrize("query", ["sslmode=no-verify", "ssl=no-verify", "sslmode=No-Verify&schema=public"])
async def test_g3_no_verify_of_node_postgres_connects_as_the_tool_does(port: int, query: str) -> None:
    assert await answers(port, query, network())


@pytest.mark.parametrize(
    "query",
    [
        "",
        "sslmode=require",
        "sslmode=prefer",
        "ssl=true",
        "ssl=1",
        "sslmode=require&sslaccept=accept_invalid_certs",
        "sslmode=verify-full&sslaccept=accept_invalid_certs",
    ],
)
async def test_g3_what_asks_for_no_check_of_the_certificate_connects(port: int, query: str) -> None:
    assert await answers(port, query, network())


@pytest.mark.parametrize("query", ["sslmode=verify-full", "sslmode=verify-ca"])
async def test_g3_verify_connects_with_the_file_of_the_settings(
    port: int, query: str, tmp_path: Path
) -> None:
    assert await answers(port, query, network(tmp_path / certificates.AUTHORITY))


@pytest.mark.parametrize(
    "query",
    ["sslmode=verify-full", "sslmode=verify-ca", "sslrootcert=system", "sslmode=require&sslaccept=strict"],
)
async def test_g3_verify_without_a_root_file_asks_the_systems_and_says_the_next_step(
    port: int, query: str
) -> None:
    assert "certificate verify failed" in (await refusal(port, query, network())).detail


async def test_g3_verify_connects_with_the_systems_authorities(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / certificates.AUTHORITY))
    for query in (
        "sslmode=verify-full",
        "sslrootcert=system",
        "sslmode=verify-full&sslrootcert=/app/in-the-pod.pem",
    ):
        assert await answers(port, query, network())


async def test_g3_another_host_than_the_certificates_is_refused_by_verify_full_only(
    port: int, tmp_path: Path
) -> None:
    reach = network(tmp_path / certificates.AUTHORITY)
    assert (
        "does not match host name" in (await refusal(port, "sslmode=verify-full", reach, OTHER_HOST)).detail
    )
    assert await answers(port, "sslmode=verify-ca", reach, OTHER_HOST)


async def test_g3_a_server_that_wants_tls_says_so_to_a_client_without(port: int) -> None:
    await refusal(port, "sslmode=disable", network())


async def test_g3_a_server_without_tls_is_no_passing_failure(server: Server) -> None:
    await refusal(server.port, "sslmode=require", network())


def test_g3_a_mode_that_nobody_knows_is_refused() -> None:
    with pytest.raises(PermanentError) as raised:
        parse_address("postgresql://u:p@db/core?sslmode=verify-everything", ENVIRONMENT)
    assert raised.value.reason is Reason.DATABASE_TLS


@pytest.mark.parametrize(
    "message",
    [
        "connection to server failed: SSL error: certificate verify failed",
        'pg_dump: error: invalid sslmode value "require" when SSL support is not compiled in',
    ],
)
def test_g3_the_programs_refusals_are_told_as_the_sessions(message: str) -> None:
    where = parse_address("postgresql://u:s3cret@db.x/core?sslmode=require", ENVIRONMENT)
    assert program_error(where, "pg_dump", message).reason is Reason.DATABASE_TLS
