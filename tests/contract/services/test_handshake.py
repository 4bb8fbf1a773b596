"""A lock held in a database is seen by each service's own tool in that database, and in no other."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.contract.services.conftest import Pods

_NUMBER = 7_204_118_265_531
_STATEMENT = f"""DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database()
AND (l.classid::bigint << 32) | l.objid::bigint = {_NUMBER})
THEN RAISE EXCEPTION 'this is another database'; END IF; END $$"""


@pytest.mark.parametrize(
    ("service", "variable", "command"),
    [
        ("los-core-api", "DATABASE_URL", "npx prisma db execute --stdin --schema=prisma/schema.prisma"),
        (
            "data-builder-api",
            "CORE_DATABASE_URL",
            "npx prisma db execute --stdin --schema=prisma-core/schema.prisma",
        ),
        ("workflow-api", "DATABASE_URL", "npx typeorm query {statement} -d data-source.js"),
    ],
)
def test_only_the_database_that_holds_the_lock_passes(
    pods: Pods, service: str, variable: str, command: str
) -> None:
    pod, other = pods.container(service), pods.container("ui-builder-api")
    statement = shlex.quote(_STATEMENT)
    line = command.format(statement=statement)
    if "--stdin" in line:
        line = f"printf %s {statement} | {line}"
    for url, passes in ((pod.urls[variable], True), (other.urls["DATABASE_URL"], False)):
        with psycopg.connect(url.partition("?")[0], autocommit=True) as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", [_NUMBER])
            code, out, err = pod.sh(line)
            assert (code == 0) == passes, f"{out}\n{err}"
            if not passes:
                assert "this is another database" in err
