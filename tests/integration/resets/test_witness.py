"""The daemon looks itself: what a tool says of its work, by exit code 0 and by silence, is not believed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql

from sandbox.platform.platform import Platform
from sandbox.services.images import without_migrations
from sandbox.services.standins.controls import Control
from tests.integration.people.asking import ENVIRONMENT, SEEDED, act, ask, attempts, launched, step
from tests.integration.stand.harness import Harness
from tests.integration.stand.outages import without_pods

CORE, INTEGRATIONS, SEQUENCE = "los-core-api", "los-integrations", "sequence-builder-api"
NO_ROWS = Control(fail="the role admin can't be written", fail_after_rows=0, exits_zero=True)


def execute(platform: Platform, service: str, statement: str) -> None:
    with psycopg.connect(platform.postgres_url(ENVIRONMENT, service).partition("?")[0]) as connection:
        connection.execute(statement.encode())


def count(platform: Platform, service: str, table: str) -> int:
    with psycopg.connect(platform.postgres_url(ENVIRONMENT, service).partition("?")[0]) as connection:
        asked = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
        row = connection.execute(asked).fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def image_without_migrations(platform: Platform, service: str) -> Iterator[None]:
    """The service runs an image from which its migrations were left out; at the end the whole one again."""
    with without_migrations(platform.directory / "images" / service):
        with without_pods(platform, ENVIRONMENT, service):
            pass
        yield
    with without_pods(platform, ENVIRONMENT, service):
        pass


def test_a1_a_seeder_that_prints_its_error_and_exits_0_has_failed(harness: Harness) -> None:
    harness.platform.control(ENVIRONMENT, CORE, **{"seed:system": NO_ROWS})
    reference = ask(harness, CORE)
    failed = harness.wait_state(reference, "failed")
    assert (failed["stoppedAt"], failed["cause"]) == (SEEDED[CORE], "command-failed")
    assert "Error: the role admin can't be written" in failed["detail"]
    (attempt,) = attempts(harness, reference, SEEDED[CORE])
    assert attempt["outcome"]["exitCode"] == 0


def test_a1_a_seeder_that_hides_its_error_and_leaves_no_role_has_failed_and_resume_runs_it_again(
    harness: Harness,
) -> None:
    hidden = Control(fail="nobody reads this", fail_after_rows=0, exits_zero=True, hides_error=True)
    harness.platform.control(ENVIRONMENT, CORE, **{"seed:system": hidden})
    execute(harness.platform, CORE, "TRUNCATE roles CASCADE")
    reference = ask(harness, CORE)
    failed = harness.wait_state(reference, "failed")
    assert (failed["stoppedAt"], failed["cause"]) == (SEEDED[CORE], "check-not-met")
    assert "core: expected at least 1 rows in roles" in failed["detail"]
    assert "found 0" in failed["detail"]
    assert "resetd resume" in failed["hint"]
    harness.platform.clear_controls()
    act(harness, reference, "resume")
    harness.wait_state(reference, "done")
    assert launched(harness, reference, SEEDED[CORE]) == [1, 1]
    assert step(harness, reference, "verify.los-core-api.rows")["state"] == "succeeded"


def test_a1_a_sync_that_loses_the_users_mappings_has_failed(harness: Harness) -> None:
    """Another input of the kind: what the tool says it keeps is compared with what was there before."""
    harness.platform.dirty(ENVIRONMENT)
    assert count(harness.platform, INTEGRATIONS, "user_mappings") > 0
    execute(
        harness.platform,
        INTEGRATIONS,
        "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN DELETE FROM user_mappings; RETURN NULL; END $$;"
        "CREATE TRIGGER lose AFTER INSERT OR UPDATE ON integrations FOR EACH STATEMENT EXECUTE FUNCTION lose()",
    )
    try:
        reference = ask(harness, INTEGRATIONS)
        failed = harness.wait_state(reference, "failed")
    finally:
        execute(harness.platform, INTEGRATIONS, "DROP FUNCTION lose CASCADE")
    assert (failed["stoppedAt"], failed["cause"]) == (SEEDED[INTEGRATIONS], "check-not-met")
    assert "expected user_mappings" in failed["detail"]
    assert "found 0 rows" in failed["detail"]


def test_a3_a_wipe_of_an_image_that_shows_no_migration_is_refused_and_destroys_nothing(
    harness: Harness,
) -> None:
    before = count(harness.platform, SEQUENCE, "sequences")
    assert before > 0
    with image_without_migrations(harness.platform, SEQUENCE):
        reference = ask(harness, SEQUENCE, mode="wipe", git=False)
        refused = harness.wait_state(reference, "failed")
    assert (refused["cause"], refused["stoppedIn"]) == ("migrations-not-shown", "planning")
    assert "prisma/migrations" in refused["detail"]
    assert count(harness.platform, SEQUENCE, "sequences") == before


@pytest.mark.parametrize("mode", ["refresh", "seed"])
def test_a3_an_image_that_shows_no_migration_is_never_called_migrated(harness: Harness, mode: str) -> None:
    """Another input of the kind: `migrate deploy` and `migrate status` of that image exit 0."""
    with image_without_migrations(harness.platform, SEQUENCE):
        reference = ask(harness, SEQUENCE, mode=mode, git=False)
        failed = harness.wait_state(reference, "failed")
    if mode == "seed":
        assert (failed["stoppedAt"], failed["cause"]) == (SEEDED[SEQUENCE], "migrations-not-shown")
    else:
        assert failed["stoppedAt"] == "seed.sequence-builder-api.deploy"
        assert "No migration found" in failed["detail"]
