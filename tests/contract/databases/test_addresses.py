"""B5, and its siblings: an address that means one server to the pod means the same one to the daemon, or is refused."""

from __future__ import annotations

import pytest

from daemon.adapters.postgres.databases import PostgresDatabases
from daemon.adapters.postgres.urls import Network, parse_address
from daemon.ports.errors import PermanentError
from sandbox.postgres import Server
from schemas.reasons import Reason
from tests.contract.conftest import PASSWORD

ENVIRONMENT = "qa-sandbox"


async def refusal(url: str, network: Network | None = None) -> PermanentError:
    with pytest.raises(PermanentError) as raised:
        await PostgresDatabases(network).identify(url, environment=ENVIRONMENT)
    assert raised.value.hint
    return raised.value


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
async def test_b5_localhost_of_a_pod_is_never_the_daemons(server: Server, host: str) -> None:
    """There is a database at that very address of the daemon's machine."""
    url = f"postgresql://fuse:{PASSWORD}@{host}:{server.port}/core"
    assert (await refusal(url)).reason is Reason.DATABASE_LOCAL_TO_POD


@pytest.mark.parametrize(
    "host",
    [
        "LocalHost",
        "localhost.",
        "localhost.localdomain",
        "db.localhost",
        "ip6-localhost",
        "127.1",
        "127.8.8.8",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "0",
        "0.0.0.0",  # noqa: S104 - an address that is refused
        "[::]",
        "[::ffff:127.0.0.1]",
        "[0:0:0:0:0:0:0:1]",
        "169.254.1.1",
        "[fe80::1]",
        "%2Fvar%2Frun%2Fpostgresql",
        "",
    ],
)
async def test_b5_loopback_in_other_spellings_is_refused_as_well(host: str) -> None:
    url = f"postgresql://fuse:{PASSWORD}@{host}/core"
    assert (await refusal(url)).reason is Reason.DATABASE_LOCAL_TO_POD


@pytest.mark.parametrize("host", ["", "/tmp", "/var/run/postgresql", "localhost", "@abstract"])
async def test_b5_a_parameter_that_means_the_pods_own_machine_is_refused(host: str) -> None:
    url = f"postgresql://fuse:{PASSWORD}@db.qa-sandbox.svc/core?host={host}"
    assert (await refusal(url)).reason is Reason.DATABASE_LOCAL_TO_POD


async def test_b5_a_name_that_resolves_to_a_loopback_address_is_refused(server: Server) -> None:
    """`/etc/hosts` of most machines has a name of the like, and so have public name servers."""
    url = f"postgresql://fuse:{PASSWORD}@loops.example:{server.port}/core"
    found = await refusal(url.replace("loops.example", "localhost4.localdomain4"))
    assert found.reason is Reason.DATABASE_LOCAL_TO_POD


async def test_a_host_is_where_the_daemon_is_told_it_is(server: Server) -> None:
    network = Network({"db.qa-sandbox.svc": "127.0.0.1"})
    url = f"postgresql://fuse:{PASSWORD}@db:{server.port}/core"
    assert (await PostgresDatabases(network).identify(url, environment=ENVIRONMENT)).name == "core"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@a,b/core",
        "postgresql://u:p@a:1,b:2/core",
        "postgresql://u:p%2Cq@a%2Cb/core",
        "postgresql://u:p@a/core?host=a,b",
        "postgresql://u:p@/core?host=a,b&port=1,2&target_session_attrs=read-write",
    ],
)
async def test_b3_several_hosts_in_a_url_are_refused_by_name(url: str) -> None:
    assert (await refusal(url)).reason is Reason.DATABASE_SEVERAL_HOSTS


@pytest.mark.parametrize(
    "parameter", ["port=6543", "hostaddr=10.0.0.9", "dbname=other", "user=v", "service=x"]
)
async def test_b3_a_parameter_that_leads_some_clients_elsewhere_is_refused(parameter: str) -> None:
    assert (await refusal(f"postgresql://u:p@a.b/core?{parameter}")).reason is Reason.DATABASE_UNIDENTIFIED


async def test_variables_of_the_daemons_own_lead_no_session_elsewhere(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """psycopg reads them in the daemon's process; pg_dump does not get them."""
    for name, value in {
        "PGHOSTADDR": "127.0.0.9",
        "PGOPTIONS": "-c no_such=1",
        "PGSSLMODE": "require",
    }.items():
        monkeypatch.setenv(name, value)
    url = server.pod_url("core", "fuse", PASSWORD)
    network = Network({parse_address(url, ENVIRONMENT).host: "127.0.0.1"})
    assert (await PostgresDatabases(network).identify(url, environment=ENVIRONMENT)).name == "core"
