"""Each command of the guide once, typed as the guide types it, and what is in the database afterwards."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING

import pytest

from sandbox.journal import Launch
from sandbox.services.contents import counts

if TYPE_CHECKING:
    from tests.contract.services.conftest import Pods

_CORE = {"roles": 5, "permissions": 6, "role_permissions": 15, "queues": 5, "core_entities": 3}


def test_los_core_is_migrated_and_seeded_with_system_and_mock_data(pods: Pods) -> None:
    pod = pods.container("los-core-api")
    pod.ok("npm run prisma:migrate:prod")
    pod.ok("npm run seed:system")
    assert _CORE.items() <= counts(pod.contents()).items()
    pod.ok("npm run seed:mock")
    assert counts(pod.contents())["loans"] == 6
    pod.ok("npm run seed:mock")
    assert counts(pod.contents())["loans"] == 12, "a mock seed that ran twice must show"


def test_migrate_reset_drops_everything_and_applies_all_migrations(pods: Pods) -> None:
    pod = pods.container("los-core-api")
    pod.ok("npm run prisma:migrate:prod && npm run seed:system")
    pod.query("CREATE TABLE own (id int)")
    out = pod.ok("npx prisma migrate reset --force")
    assert "Database reset successful" in out
    assert counts(pod.contents()) == {
        "_prisma_migrations": 4,
        "core_entities": 3,
        **dict.fromkeys(("loans", "permissions", "queues", "role_permissions", "roles", "users"), 0),
    }


def test_the_quick_reference_of_each_service_works_from_empty(pods: Pods) -> None:
    commands = {
        "data-builder-api": "npm run db:deploy && npm run db:sync-model && npm run db:seed:data-builder",
        "los-core-api": "npm run prisma:migrate:prod && npm run seed:system",
        "los-integrations": "npm run prisma:migrate:prod && npm run seed:reset",
        "sequence-builder-api": "npx prisma migrate deploy && npm run seed",
        "ui-builder-api": "npx prisma migrate deploy && npm run seed && npm run populate-core-entities",
        "workflow-api": "npm run db:run-migrations && npm run seed",
    }
    filled = {}
    for service, command in commands.items():
        pod = pods.container(service)
        pod.ok(command)
        filled[service] = sum(counts(pod.contents()).values())
    assert filled == {
        "data-builder-api": 3 + 13,
        "los-core-api": 4 + 34,
        "los-integrations": 3 + 21,
        "sequence-builder-api": 2 + 12,
        "ui-builder-api": 3 + 9 + 6,
        "workflow-api": 3 + 16,
    }


def test_one_core_schema_is_deployed_from_either_service(pods: Pods) -> None:
    builder, core = pods.container("data-builder-api"), pods.container("los-core-api")
    builder.ok("npm run db:deploy")
    assert counts(builder.contents("CORE_DATABASE_URL"))["_prisma_migrations"] == 4
    assert "No pending migrations to apply." in core.ok("npm run prisma:migrate:prod")
    assert "Database schema is up to date!" in core.ok("npx prisma migrate status")


def test_data_builder_resets_both_schemas_or_one(pods: Pods) -> None:
    builder, core = pods.container("data-builder-api"), pods.container("los-core-api")
    builder.ok("npm run db:deploy && npm run db:sync-model && npm run db:seed:data-builder")
    core.ok("npm run seed:system")
    builder.ok("npm run db:data-builder:danger:migrate-reset")
    assert counts(builder.contents())["tags"] == 0
    assert counts(core.contents())["roles"] == 5, "the core schema is not its own"
    builder.ok("npm run db:seed:data-builder")
    builder.ok("npm run db:migrate-reset:core")
    assert counts(core.contents())["roles"] == 0
    assert counts(builder.contents())["tags"] == 4
    core.ok("npm run seed:system")
    builder.ok("npm run db:migrate-reset")
    assert counts(core.contents())["roles"] == 0
    assert counts(builder.contents())["tags"] == 0


def test_a_client_is_only_there_in_the_container_that_generated_it(pods: Pods) -> None:
    first = pods.container("data-builder-api")
    first.ok("npm run db:deploy && npm run db:sync-model && npm run db:seed:data-builder")
    second = pods.container("data-builder-api")
    code, _, err = second.sh("npm run db:seed:data-builder")
    assert code == 1
    assert "@prisma/client did not initialize yet" in err
    second.ok("npm run db:sync-model:data-builder && npm run db:seed:data-builder")
    code, _, err = second.sh("npm run build && node dist/main.js")
    assert code == 1, "the service needs the core schema's client too"
    assert "did not initialize yet" in err


def test_data_builder_cannot_be_seeded_before_core_is_migrated(pods: Pods) -> None:
    pod = pods.container("data-builder-api")
    pod.ok("npm run db:deploy:data-builder && npm run db:sync-model")
    code, _, err = pod.sh("npm run db:seed:data-builder")
    assert code == 1
    assert "The table `public.core_entities` does not exist in the current database." in err
    pod.ok("npm run db:deploy:core && npm run db:seed:data-builder")


@pytest.mark.parametrize(
    ("service", "start", "migrated"),
    [
        ("data-builder-api", "npm run prod", "_prisma_migrations"),
        ("los-core-api", "npm run prod", "_prisma_migrations"),
        ("los-integrations", "npm run prod", "_prisma_migrations"),
        ("sequence-builder-api", "npm run start:prod", "_prisma_migrations"),
        ("ui-builder-api", "npm run start:prod", "_prisma_migrations"),
        ("workflow-api", "npm run start:prod", "migrations"),
    ],
)
def test_a_start_script_migrates_seeds_and_serves_until_sigterm(
    pods: Pods, service: str, start: str, migrated: str
) -> None:
    pod = pods.container(service)
    ready = pod.directory / "ready"
    process = pod.start(start, SANDBOX_READY_FILE=str(ready))
    pods.until(ready.exists)
    assert counts(pod.contents())[migrated] >= 2
    assert sum(counts(pod.contents()).values()) > 10
    mine = [one for one in pods.witness.read().launches if one.pod == pod.environ["SANDBOX_POD"]]
    serving = mine[-1]
    assert serving.argv[0] == "node"
    assert serving.running
    assert all(one.attempt is None for one in mine)
    assert all(one.start_script for one in mine)
    pods.kill(serving, signal.SIGTERM)
    process.wait(30)

    def seen_ending() -> Launch:
        return next(one for one in pods.witness.read().launches if one.id == serving.id)

    pods.until(lambda: not seen_ending().running)
    ended = seen_ending()
    assert (ended.exit_code, ended.killed) == (143, False)


def test_a_service_holds_the_sessions_that_its_pod_asks_for(pods: Pods) -> None:
    pod = pods.container("los-core-api")
    pod.start("node dist/main.js", SANDBOX_SESSIONS="2")
    pod.until("SELECT count(*) = 2 FROM pg_stat_activity WHERE application_name = 'los-core-api'")
    pods.kill(pods.innermost(pod), signal.SIGTERM)
    pod.until("SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'los-core-api'")


def test_a_service_that_waits_for_its_database_still_ends_at_once_with_143(pods: Pods) -> None:
    pod = pods.container("los-core-api")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://fuse:s3cret@127.0.0.1:{silent.getsockname()[1]}/los-sandbox"
        process = pod.start("exec node dist/main.js", DATABASE_URL=url, SANDBOX_SESSIONS="1")
        connection, _ = silent.accept()
        with connection:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 143


def test_npm_answers_with_the_script_s_code_and_puts_notices_on_standard_error(pods: Pods) -> None:
    pod = pods.container("los-core-api")
    code, out, err = pod.sh("npm run nope")
    assert (code, out) == (1, "")
    assert 'npm error Missing script: "nope"' in err
    code, out, err = pod.sh("npm run seed:system")
    assert code == 1
    assert "P2021" in err
    assert "npm notice" in err
    assert "> los-core-api@4.12.0 seed:system\n> ts-node" in out


def test_programs_of_packages_are_found_by_npm_and_npx_alone(pods: Pods) -> None:
    pod = pods.container("los-core-api")
    assert pod.sh("prisma migrate status")[0] == 127
    code, _, err = pod.sh("npx typeorm migration:show -d data-source.js")
    assert code == 1
    assert "not in this registry" in err
