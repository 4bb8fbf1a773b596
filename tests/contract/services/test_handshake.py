"""What each service's own tool sends is heard in the database that it reaches, and in no other."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import psycopg
import pytest

from daemon.config.catalog_file import load_catalog
from statemachines.steps.handshake import statement

if TYPE_CHECKING:
    from tests.contract.services.conftest import Pods

CATALOG = load_catalog(None).catalog
NONCE = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("service", "database", "variable"),
    [
        ("los-core-api", "core", "DATABASE_URL"),
        ("data-builder-api", "core", "CORE_DATABASE_URL"),
        ("data-builder-api", "data-builder", "DATABASE_URL"),
        ("workflow-api", "workflow-builder", "DATABASE_URL"),
    ],
)
def test_a4_a_tool_is_heard_in_the_database_that_it_reaches_alone(
    pods: Pods, service: str, database: str, variable: str
) -> None:
    pod, other = pods.container(service), pods.container("ui-builder-api")
    entry = CATALOG.service(service)
    declared = entry.database(database) if entry else None
    assert declared is not None
    argv, stdin = statement(declared.handshake, NONCE)
    line = shlex.join(argv)
    if stdin is not None:
        line = f"printf %s {shlex.quote(stdin.decode())} | {line}"
    with (
        psycopg.connect(pod.urls[variable].partition("?")[0], autocommit=True) as here,
        psycopg.connect(other.urls["DATABASE_URL"].partition("?")[0], autocommit=True) as elsewhere,
    ):
        for connection in (here, elsewhere):
            connection.execute("LISTEN resetd")
        code, out, err = pod.sh(line)
        assert code == 0, f"{out}\n{err}"
        heard = [
            [notice.payload for notice in connection.notifies(timeout=0.2)]
            for connection in (here, elsewhere)
        ]
    assert heard == [[NONCE], []]
