"""What the real Prisma, TypeORM and nest-commander say of their work, and that their word is not enough."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.e2e.cluster import RealCluster
from tests.e2e.figures import Kubectl
from tests.e2e.services import RealServices, catalog
from tests.integration.people.asking import ENVIRONMENT, ask, attempts, step
from tests.integration.stand.harness import Harness, running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]
INTEGRATIONS, SEQUENCE, WORKFLOW = "los-integrations", "sequence-builder-api", "workflow-api"
WITHIN = 240.0
# TypeORM's list of migrations goes into a file, or comes with the time before each line.
LOGGERS = {
    "a file": "'file'",
    "a time before each line": (
        "new (class extends require('typeorm').AdvancedConsoleLogger {"
        " writeLog(level, message) { for (const one of [].concat(message))"
        " console.log(new Date().toISOString(), typeof one === 'object' ? one.message : one) } })('all')"
    ),
    # The command's own `logging` reaches only loggers that TypeORM makes itself.
    "nothing": "new (require('typeorm').AdvancedConsoleLogger)(['error'])",
}
PSQL = 'psql --no-psqlrc --quiet "${DATABASE_URL%%/sequence-builder*}/data-builder"'
SILENT = {
    "true": ["true"],
    "psql that goes on after an error": ["sh", "-c", f"(echo nonsense; cat) | {PSQL}"],
}
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def prepared(services: RealServices, kubeconfig_of_services: str, real: RealCluster) -> RealServices:
    """Three services, migrated and seeded by hand."""
    assert kubeconfig_of_services
    Kubectl(real.kubeconfig, ENVIRONMENT).type(
        (
            (INTEGRATIONS, "npm run prisma:migrate:prod"),
            (INTEGRATIONS, "npm run seed:reset"),
            (SEQUENCE, "npx prisma migrate deploy"),
            (SEQUENCE, "npm run seed"),
            (WORKFLOW, "npm run db:run-migrations"),
            (WORKFLOW, "npm run seed"),
        )
    )
    return services


@pytest.fixture
def daemon(prepared: RealServices, kubeconfig_of_services: str, tmp_path: Path) -> Run:
    """Starts a daemon on the services, with a change of its catalog."""

    @contextmanager
    def start(change: Callable[[dict[str, Any]], None] | None = None) -> Iterator[Harness]:
        settings = {
            "RESETD_KUBECONFIG": kubeconfig_of_services,
            "RESETD_CATALOG": str(catalog(tmp_path, change)),
        }
        with running(prepared.platform, tmp_path / "daemon", settings=settings) as harness:
            yield harness

    return start


def asked(services: RealServices, service: str, query: str) -> Any:  # noqa: ANN401 - what the query selects
    """The first column of the first row; None where there is none."""
    with psycopg.connect(services.url(service), autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


def test_a1_nest_commander_prints_an_error_and_exits_0_and_the_reset_stops(
    prepared: RealServices, daemon: Run
) -> None:
    with prepared.variables(INTEGRATIONS, FAIL="quiet"), daemon() as harness:
        reference = ask(harness, INTEGRATIONS, mode="refresh", git=False)
        failed = harness.wait_state(reference, "failed", within=WITHIN)
        assert (failed["stoppedAt"], failed["cause"]) == ("seed.los-integrations.reset", "command-failed")
        (attempt,) = attempts(harness, reference, failed["stoppedAt"])
    assert attempt["outcome"]["exitCode"] == 0
    assert "FAIL is set" in failed["detail"]


def test_a1_a_seed_of_nest_commander_whose_error_nobody_knows_leaves_no_row_and_the_reset_stops(
    prepared: RealServices, daemon: Run
) -> None:
    def without_known_failures(services: dict[str, Any]) -> None:
        for steps in services[INTEGRATIONS]["steps"].values():
            for one in steps:
                one.pop("failOn", None)

    kept = asked(prepared, INTEGRATIONS, 'SELECT count(*) FROM "Integration"')
    assert kept == 3
    asked(prepared, INTEGRATIONS, 'TRUNCATE "Integration"')
    try:
        with (
            prepared.variables(INTEGRATIONS, FAIL="quiet"),
            daemon(without_known_failures) as harness,
        ):
            reference = ask(harness, INTEGRATIONS, mode="seed", git=False)
            failed = harness.wait_state(reference, "failed", within=WITHIN)
            (attempt,) = attempts(harness, reference, failed["stoppedAt"])
    finally:
        Kubectl(prepared.cluster.kubeconfig, ENVIRONMENT).type(((INTEGRATIONS, "npm run seed:sync"),))
    assert (failed["stoppedAt"], failed["cause"]) == ("seed.los-integrations.sync", "check-not-met")
    assert "Integration" in failed["detail"]
    assert attempt["outcome"]["exitCode"] == 0


@pytest.mark.parametrize("logger", LOGGERS)
def test_a2_what_typeorm_lists_elsewhere_is_no_answer_and_no_migration_is_reverted(
    prepared: RealServices, daemon: Run, logger: str
) -> None:
    source = (prepared.image(WORKFLOW) / "data-source.js").read_text()
    changed = source.replace("type: 'postgres',", f"type: 'postgres', logger: {LOGGERS[logger]},")
    applied = "SELECT count(*) FROM typeorm_migrations"
    assert asked(prepared, WORKFLOW, applied) == 2
    with prepared.file(WORKFLOW, "data-source.js", changed), daemon() as harness:
        reference = ask(harness, WORKFLOW, mode="wipe", git=False)
        rested = harness.wait_state(reference, "failed", "done", within=WITHIN)
        if logger == "a time before each line":
            # `[X]` is in the line all the same: the list is read.
            assert rested["state"] == "done", rested
            return
        assert (rested["stoppedAt"], rested["cause"]) == ("seed.workflow-api.revert", "check-failed")
        assert "can't be told" in rested["detail"]
    assert asked(prepared, WORKFLOW, applied) == 2


def test_a2_the_daemon_reads_typeorms_ledger_itself_where_typeorm_says_nothing(
    prepared: RealServices, daemon: Run
) -> None:
    """Another input of the kind: a migration is pending, and the seed that needs it not is run."""
    source = (prepared.image(WORKFLOW) / "data-source.js").read_text()
    changed = source.replace("type: 'postgres',", "type: 'postgres', logger: 'file',")
    late = "module.exports.Late1800000000000 = class { async up() {} async down() {} }"
    with (
        prepared.file(WORKFLOW, "data-source.js", changed),
        prepared.file(WORKFLOW, "migrations/1800000000000-Late.js", late),
        daemon() as harness,
    ):
        reference = ask(harness, WORKFLOW, mode="seed", git=False)
        failed = harness.wait_state(reference, "failed", within=WITHIN)
        assert "1800000000000" in failed["detail"]
        assert failed["cause"] == "migrations-pending"


def test_a3_an_image_without_its_migrations_is_refused_before_anything_is_wiped(
    prepared: RealServices, daemon: Run
) -> None:
    rows = 'SELECT count(*) FROM "Sequence"'
    before = asked(prepared, SEQUENCE, rows)
    assert before > 0
    with prepared.file(SEQUENCE, "prisma/migrations", None), daemon() as harness:
        reference = ask(harness, SEQUENCE, mode="wipe", git=False)
        refused = harness.wait_state(reference, "failed", within=WITHIN)
        assert (refused["cause"], refused["stoppedIn"]) == ("migrations-not-shown", "planning")
        again = ask(harness, SEQUENCE, mode="refresh", git=False)
        told = harness.wait_state(again, "failed", within=WITHIN)
        # `migrate deploy` of that image exits 0.
        assert told["stoppedAt"] == "seed.sequence-builder-api.deploy"
        assert "No migration found" in told["detail"]
    assert asked(prepared, SEQUENCE, rows) == before


@pytest.mark.parametrize("command", SILENT)
def test_a4_a_handshake_that_exits_0_whatever_it_saw_shows_nothing(daemon: Run, command: str) -> None:
    def silent(services: dict[str, Any]) -> None:
        services[SEQUENCE]["databases"][0]["handshake"]["argv"] = SILENT[command]

    with daemon(silent) as harness:
        reference = ask(harness, SEQUENCE, mode="refresh", git=False)
        failed = harness.wait_state(reference, "failed", within=WITHIN)
        assert failed["cause"] == "database-mismatch"
        assert "was not heard in sequence-builder" in failed["detail"]
        ran = [one["step"] for one in harness.reset(reference)["attempts"] if one["control"]]
    assert ran == []


def test_a4_psql_in_the_database_that_is_backed_up_is_heard(daemon: Run) -> None:
    """The same tool, where it leads to the right database."""

    def psql(services: dict[str, Any]) -> None:
        argv = ["sh", "-c", 'psql --no-psqlrc --quiet "${DATABASE_URL%%\\?*}"']
        services[SEQUENCE]["databases"][0]["handshake"]["argv"] = argv

    with daemon(psql) as harness:
        reference = ask(harness, SEQUENCE, mode="seed", git=False)
        harness.wait_state(reference, "done", within=WITHIN)


@pytest.mark.parametrize("configured", ["package.json", "prisma.config.ts", "imported"])
def test_e4_the_seed_that_prisma_runs_by_itself_is_found_before_the_wipe(
    prepared: RealServices, daemon: Run, configured: str
) -> None:
    """First what the real Prisma does with it, typed by hand; then the daemon, which is not to begin."""
    image = prepared.image(SEQUENCE)
    marks = "CREATE TABLE IF NOT EXISTS unasked (id int); INSERT INTO unasked VALUES (1)"
    (image / "unasked.js").write_text(
        "const { Client } = require('pg');"
        "const db = new Client({ connectionString: process.env.DATABASE_URL });"
        f"db.connect().then(() => db.query('{marks}')).then(() => db.end())"
    )
    text = (image / "prisma.config.ts").read_text()
    name, changed = (
        "prisma.config.ts",
        text.replace("migrations: {", "migrations: { seed: 'node unasked.js',"),
    )
    if configured == "package.json":
        package = json.loads((image / "package.json").read_text())
        name, changed = "package.json", json.dumps(package | {"prisma": {"seed": "node unasked.js"}})
    if configured == "imported":
        (image / "company.ts").write_text(
            "export const ours = { migrations: { path: 'prisma/migrations', seed: 'node unasked.js' } }"
        )
        changed = "import { ours } from './company'\n" + text.replace(
            "...schemaEngine", "...ours, ...schemaEngine"
        )
    with prepared.file(SEQUENCE, name, changed), daemon() as harness:
        Kubectl(prepared.cluster.kubeconfig, ENVIRONMENT).type(
            ((SEQUENCE, "npx prisma migrate reset --force"),)
        )
        assert asked(prepared, SEQUENCE, "SELECT count(*) FROM unasked") == 1
        reference = ask(harness, SEQUENCE, mode="wipe", git=False)
        refused = harness.wait_state(reference, "failed", within=WITHIN)
        assert (refused["cause"], refused["stoppedIn"]) == ("configured-seed", "planning")
        assert "node unasked.js" in refused["detail"] or "prisma.config.ts has a seed" in refused["detail"]
    assert asked(prepared, SEQUENCE, "SELECT count(*) FROM unasked") == 1


def test_e4_a_wipe_of_an_image_that_configures_no_seed_is_done(daemon: Run) -> None:
    """Its configuration takes a part from another file: Prisma's own loader says that no seed is in it."""
    with daemon() as harness:
        reference = ask(harness, SEQUENCE, mode="wipe", git=False)
        harness.wait_state(reference, "done", within=WITHIN)
        assert step(harness, reference, "seed.sequence-builder-api.reset")["state"] == "succeeded"
