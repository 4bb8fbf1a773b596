"""The guide's commands that no plain mode runs, through the daemon, and its troubleshooting, by the doctor."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.generate.guide import aliases, lines
from sandbox.fleet import SERVICES
from tests.integration.by_hand import cases
from tests.integration.by_hand.cases import DATA_BUILDER, INTEGRATIONS, LOS_CORE, WORKFLOW
from tests.integration.by_hand.stage import ENVIRONMENT, Case, Stage

ROOT = Path(__file__).resolve().parents[3]
PEOPLES = ("users", "loans")
# The guide names no schema; the doctor names one, as data-builder-api has two, and pipes where the guide writes `<<<`.
LOOKED_WITH = {
    "npx prisma migrate status": "npx prisma migrate status --schema=prisma/schema.prisma",
    'npx prisma db execute --stdin <<< "SELECT 1"': (
        "npx prisma db execute --stdin --schema=prisma/schema.prisma"
    ),
}


def test_every_command_of_the_guide_is_typed_here_for_its_service() -> None:
    typed = {one for case in (*cases.WHOLE, *cases.PARTS) for one in case.typed}
    typed |= set(cases.TROUBLESHOOTING)
    texts = {text for _, text in typed}
    guide = lines(ROOT)
    scripts = aliases(guide)
    missing = []
    for line in guide:
        own = [service for service in SERVICES if service in line.section]
        for text in line.shell_texts:
            meant = LOOKED_WITH.get(text, scripts.get(text, text))
            if meant not in texts or (own and (own[0], meant) not in typed):
                missing.append((line.number, text))
    assert missing == []


def test_a_services_own_schema_is_deployed_and_one_integration_seeded_from_the_command_line(
    stage: Stage,
) -> None:
    services = ("--service", DATA_BUILDER, "--service", INTEGRATIONS)
    done = stage.play(cases.OWN_SCHEMA, by_command_line=(*services, "--integration", "hubspot", "--no-git"))
    values = done.column("integrations", "system_configs", "value")
    assert "https://changed.example" not in values, "hubspot's own configuration is written anew"
    assert "14" not in values, "what a person deleted of docusign's stays deleted"


def test_data_builder_alone_is_wiped_without_the_core_schema(stage: Stage) -> None:
    done = stage.play(cases.OWN_SCHEMA_WIPED)
    assert "scratch_notes" not in done.databases["data-builder"]
    assert "scratch_notes" in done.databases["los-sandbox"]
    assert done.column("integrations", "integrations", "code") == {"base", "docusign"}


def test_core_is_wiped_for_los_core_api_while_data_builder_keeps_its_own(stage: Stage) -> None:
    done = stage.play(cases.CORE_WIPED)
    assert "scratch_notes" not in done.databases["los-sandbox"]
    assert "scratch_notes" in done.databases["data-builder"]
    assert len(done.databases["los-sandbox"]["loans"]) == 6


def test_core_is_wiped_by_its_owner_where_data_builder_is_not_asked_for(stage: Stage) -> None:
    done = stage.play(cases.CORE_WIPED_BY_ITS_OWNER)
    assert "scratch_notes" not in done.databases["los-sandbox"]
    assert all(done.databases["los-sandbox"][table] == [] for table in PEOPLES)


@pytest.mark.parametrize("case", [cases.CORE_AND_SEED, cases.CORE_AND_SEED_BY_ITS_OWNER])
def test_a_seed_that_asks_for_core_migrates_it_first(stage: Stage, case: Case) -> None:
    done = stage.play(case)
    ledger = done.column("los-sandbox", "_prisma_migrations", "name")
    assert "20250120101500_queue_sla" in ledger
    assert "scratch_notes" in done.databases["los-sandbox"]


def test_the_doctor_runs_the_guides_troubleshooting_and_changes_nothing(stage: Stage) -> None:
    stage.snapshots.put_back({"data-builder", "workflow-builder"})
    before = stage.databases()
    launched = len(stage.platform.journal_reader().outermost())
    with stage.harness.daemon.client() as client:
        answer = client.post(f"/api/v1/environments/{ENVIRONMENT}/doctor", timeout=60.0)
    report = answer.raise_for_status().json()
    ran = stage.platform.journal_reader().outermost()[launched:]
    assert sorted((one.service, one.command) for one in ran) == sorted(cases.TROUBLESHOOTING)
    assert stage.databases() == before
    found = {(one["subject"], one["check"]): one for one in report["findings"]}
    failed = {where for where, one in found.items() if one["level"] != "ok"}
    assert failed == {(DATA_BUILDER, "migrate-status-data-builder"), (WORKFLOW, "migration-show")}
    assert not report["healthy"]
    assert all("refresh instead of seed" in found[where]["hint"] for where in failed)
    for check in ("pods", "deployments", "logs"):
        assert {subject for subject, name in found if name == check} == set(SERVICES)
    assert (ENVIRONMENT, "argocd") in found
    for service, check, text in (
        (DATA_BUILDER, "migrate-status-data-builder", cases.TROUBLESHOOTING[0][1]),
        (
            LOS_CORE,
            "connection",
            'printf %s "SELECT 1" | npx prisma db execute --stdin --schema=prisma/schema.prisma',
        ),
        (INTEGRATIONS, "seed-dry", "npm run seed:dry"),
        (INTEGRATIONS, "seed-list", "npm run seed:list"),
        (WORKFLOW, "migration-show", "npx typeorm migration:show -d data-source.js"),
    ):
        said = stage.person.type(service, text)
        assert found[service, check]["detail"].startswith(f"exit code {said.exit_code}")
        assert set(found[service, check]["output"].split("\n")) <= set(said.output.split("\n"))
    assert found[LOS_CORE, "logs"]["output"].strip() == stage.person.log(LOS_CORE, 100).strip()
