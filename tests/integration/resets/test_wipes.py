"""What a wipe would do beside what was agreed to: seed what nobody asked for, and take for good what nobody knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from sandbox.platform.platform import Platform
from sandbox.services.images import with_file
from tests.integration.people.asking import ENVIRONMENT, ask, step
from tests.integration.stand.harness import Harness
from tests.integration.stand.outages import pods, without_pods

CORE, SEQUENCE, BUILDER = "los-core-api", "sequence-builder-api", "data-builder-api"
MOCK = "npm run seed:mock"
CONFIG = """
import { defineConfig } from 'prisma/config'

export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations', seed: 'npm run seed:mock' },
})
"""


def asked(platform: Platform, service: str, query: str, *, user: str | None = None) -> object:
    """Ask the service's database, as its own role or as a superuser; the first column of the first row."""
    url = platform.postgres_url(ENVIRONMENT, service).partition("?")[0]
    if user is not None:
        name = url.rpartition("/")[2]
        url = f"{platform.databases.servers['qa'].superuser_url.rpartition('/')[0]}/{name}"
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


@contextmanager
def image(platform: Platform, service: str, file: str, text: str | None) -> Iterator[None]:
    """The service runs an image with that file; at the end the former one again."""
    with with_file(platform.directory / "images" / service, file, text):
        with without_pods(platform, ENVIRONMENT, service):
            pass
        yield
    with without_pods(platform, ENVIRONMENT, service):
        pass


@contextmanager
def in_container(platform: Platform, service: str, file: str, text: str | None) -> Iterator[None]:
    """The service's container has that text in the file; at the end its own again. The service goes on."""
    (pod,) = pods(platform, ENVIRONMENT, service)
    identifier = pod["status"]["containerStatuses"][0]["containerID"].partition("://")[2]
    with with_file(platform.directory / "kubernetes" / "containers" / identifier / "app", file, text):
        yield


def package(platform: Platform, service: str, *, seed: str | None = None, **scripts: str) -> str:
    """The service's package.json with a seed for Prisma, or with other scripts."""
    known = json.loads((platform.directory / "images" / service / "package.json").read_text())
    known["scripts"] |= scripts
    return json.dumps(known | ({"prisma": {"seed": seed}} if seed else {}), indent=2)


@pytest.mark.parametrize("configured", ["package.json", "prisma.config.ts"])
def test_e4_a_wipe_that_would_run_the_configured_seed_is_refused_and_destroys_nothing(
    harness: Harness, configured: str
) -> None:
    platform = harness.platform
    text = CONFIG if configured == "prisma.config.ts" else package(platform, CORE, seed=MOCK)
    with image(platform, CORE, configured, text):
        before = asked(platform, CORE, "SELECT count(*) FROM roles")  # the start of a pod seeds
        reference = ask(harness, CORE, mode="wipe", git=False)
        refused = harness.wait_state(reference, "failed")
    assert (refused["cause"], refused["stoppedIn"]) == ("configured-seed", "planning")
    assert configured in refused["detail"]
    assert "--skip-seed" in refused["detail"]
    assert asked(platform, CORE, "SELECT count(*) FROM roles") == before


@pytest.mark.parametrize("text", ["{", None])
def test_e4_a_configuration_that_can_not_be_read_is_no_answer(harness: Harness, text: str | None) -> None:
    """Another input of the kind: nobody can tell whether rows would come."""
    with in_container(harness.platform, SEQUENCE, "package.json", text):
        reference = ask(harness, SEQUENCE, mode="wipe", git=False)
        refused = harness.wait_state(reference, "failed")
    assert (refused["cause"], refused["stoppedIn"]) == ("configured-seed", "planning")
    assert "package.json" in refused["detail"]


def test_e4_a_script_that_skips_the_seed_is_run_and_seeds_nothing(harness: Harness) -> None:
    platform = harness.platform
    script = "prisma migrate reset --force --skip-seed --schema=./prisma-data-builder/schema.prisma"
    text = package(platform, BUILDER, seed="exit 1", **{"db:data-builder:danger:migrate-reset": script})
    with image(platform, BUILDER, "package.json", text):
        reference = ask(harness, BUILDER, mode="wipe", git=False)
        harness.wait_state(reference, "done")


def test_e3_a_wipe_that_takes_an_extension_and_grants_for_good_is_refused_until_they_are_moved(
    harness: Harness,
) -> None:
    platform = harness.platform
    asked(platform, SEQUENCE, "CREATE EXTENSION vector", user="admin")
    asked(platform, SEQUENCE, "CREATE ROLE reporting", user="admin")
    asked(platform, SEQUENCE, "GRANT SELECT ON sequences TO reporting")
    try:
        reference = ask(harness, SEQUENCE, mode="wipe", git=False)
        refused = harness.wait_state(reference, "failed")
        assert (refused["cause"], refused["stoppedIn"]) == ("lost-by-wipe", "planning")
        assert "extension vector, grants to reporting" in refused["detail"]
        assert "SET SCHEMA" in refused["detail"]
        assert asked(platform, SEQUENCE, "SELECT count(*) FROM sequences")
        asked(platform, SEQUENCE, "CREATE SCHEMA extensions", user="admin")
        asked(platform, SEQUENCE, "ALTER EXTENSION vector SET SCHEMA extensions", user="admin")
        asked(platform, SEQUENCE, "REVOKE ALL ON sequences FROM reporting")
        again = ask(harness, SEQUENCE, mode="wipe", git=False)
        harness.wait_state(again, "done")
        assert step(harness, again, "seed.sequence-builder-api.reset")["state"] == "succeeded"
        assert asked(platform, SEQUENCE, "SELECT count(*) FROM pg_extension WHERE extname = 'vector'") == 1
    finally:
        asked(platform, SEQUENCE, "DROP SCHEMA IF EXISTS extensions CASCADE", user="admin")
        asked(platform, SEQUENCE, "DROP EXTENSION IF EXISTS vector", user="admin")
        asked(platform, SEQUENCE, "DROP OWNED BY reporting", user="admin")
        asked(platform, SEQUENCE, "DROP ROLE reporting", user="admin")
