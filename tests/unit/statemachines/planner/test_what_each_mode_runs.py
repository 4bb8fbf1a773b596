from __future__ import annotations

import pytest

from schemas.plan import Phase
from tests.unit.statemachines.planner.world import CORE, Mode, Option, planned, request, texts


def names(phase: Phase, **fields: object) -> list[str]:
    return [step.name for step in planned(request(**fields)).steps if step.phase is phase]


def test_a_refresh_is_the_guides_quick_reference_in_the_recommended_order() -> None:
    assert texts(planned()) == [
        "npm run db:deploy",
        "npm run db:sync-model",
        "npm run prisma:migrate:prod",
        "npm run db:seed:data-builder",
        "npm run seed:system",
        "npm run prisma:migrate:prod",
        "npm run seed:reset",
        "npx prisma migrate deploy",
        "npm run seed",
        "npx prisma migrate deploy",
        "npm run seed",
        "npm run db:run-migrations",
        "npm run seed",
    ]


def test_a_wipe_drops_both_schemas_once_and_reverts_type_orm() -> None:
    assert texts(planned(request(mode=Mode.WIPE))) == [
        "npm run db:migrate-reset",
        "npm run db:sync-model",
        "npm run prisma:migrate:prod",
        "npm run db:seed:data-builder",
        "npm run seed:system",
        "npx prisma migrate reset --force",
        "npm run seed:reset",
        "npx prisma migrate reset --force",
        "npm run seed",
        "npx prisma migrate reset --force",
        "npm run seed",
        "npm run db:revert-migration",
        "npm run db:run-migrations",
        "npm run seed",
    ]


def test_seed_only_runs_the_seeds_and_leaves_the_repository_alone() -> None:
    made = planned(request(mode=Mode.SEED))
    assert texts(made) == [
        "npm run db:seed:data-builder",
        "npm run seed:system",
        "npm run seed:sync",
        "npm run seed",
        "npm run seed",
        "npm run seed",
    ]
    assert not made.git
    assert not made.core


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"services": ["data-builder-api"]},
            [
                "npm run db:deploy:data-builder",
                "npm run db:sync-model:data-builder",
                "npm run db:seed:data-builder",
            ],
        ),
        (
            {"services": ["data-builder-api"], "mode": Mode.WIPE},
            [
                "npm run db:data-builder:danger:migrate-reset",
                "npm run db:sync-model:data-builder",
                "npm run db:seed:data-builder",
            ],
        ),
        (
            {"services": ["data-builder-api"], "core": True},
            ["npm run db:deploy", "npm run db:sync-model", "npm run db:seed:data-builder"],
        ),
        (
            {"services": ["data-builder-api"], "mode": Mode.SEED, "core": True},
            ["npm run db:deploy:core", "npm run db:sync-model:core", "npm run db:seed:data-builder"],
        ),
        (
            {"services": CORE, "service_modes": {"data-builder-api": Mode.WIPE}},
            [
                "npm run db:data-builder:danger:migrate-reset",
                "npm run db:sync-model",
                "npm run prisma:migrate:prod",
                "npm run db:seed:data-builder",
                "npm run seed:system",
            ],
        ),
        (
            {"services": CORE, "service_modes": {"los-core-api": Mode.WIPE}},
            [
                "npm run db:migrate-reset:core",
                "npm run db:deploy:data-builder",
                "npm run db:sync-model",
                "npm run prisma:migrate:prod",
                "npm run db:seed:data-builder",
                "npm run seed:system",
            ],
        ),
        (
            {"services": CORE, "service_modes": {"los-core-api": Mode.WIPE, "data-builder-api": Mode.SEED}},
            [
                "npm run db:migrate-reset:core",
                "npm run db:sync-model:core",
                "npm run prisma:migrate:prod",
                "npm run db:seed:data-builder",
                "npm run seed:system",
            ],
        ),
        (
            {"services": ["los-core-api"], "mode": Mode.WIPE},
            ["npx prisma migrate reset --force", "npm run prisma:migrate:prod", "npm run seed:system"],
        ),
        (
            {"services": ["los-core-api"], "mode": Mode.SEED, "core": True},
            ["npm run prisma:migrate:prod", "npm run seed:system"],
        ),
        (
            {"services": ["los-core-api"], "options": [Option.MOCK]},
            ["npm run prisma:migrate:prod", "npm run seed:system", "npm run seed:mock"],
        ),
        (
            {"services": ["los-integrations"], "options": [Option.KEEP_USER_DATA]},
            ["npm run prisma:migrate:prod", "npm run seed:sync"],
        ),
        (
            {"services": ["ui-builder-api"], "options": [Option.POPULATE_CORE_ENTITIES]},
            ["npx prisma migrate deploy", "npm run seed", "npm run populate-core-entities"],
        ),
    ],
)
def test_the_table_of_modes_and_options(fields: dict[str, object], expected: list[str]) -> None:
    assert texts(planned(request(**fields))) == expected


@pytest.mark.parametrize("mode", list(Mode))
def test_an_integration_is_an_argument_and_never_text_of_the_command(mode: Mode) -> None:
    made = planned(
        request(mode=mode, services=["los-integrations"], integrations=["plaid", "docusign", "plaid"])
    )
    steps = [step for step in made.steps if "sync-" in step.name]
    assert [step.name for step in steps] == [
        "seed.los-integrations.sync-plaid",
        "seed.los-integrations.sync-docusign",
    ]
    assert [step.argv[2:] for step in steps] == [
        ('npm run seed:sync -- --integration "$1"', "sh", "plaid"),
        ('npm run seed:sync -- --integration "$1"', "sh", "docusign"),
    ]
    assert "npm run seed:reset" not in texts(made)
    assert "npm run seed:sync" not in texts(made)


def test_steps_are_named_by_phase_target_and_name() -> None:
    assert names(Phase.MIGRATE) == [
        "migrate.core.deploy",
        "migrate.core.sync-model",
        "migrate.los-core-api.deploy",
    ]
    assert names(Phase.GIT) == ["git.qa-workflows"]
    assert "backup.los-sandbox" in names(Phase.BACKUP)
    assert "backup.handshake.data-builder-api.core" in names(Phase.BACKUP)
    assert "seed.los-core-api.system" in names(Phase.SEED)
    assert "verify.los-core-api.migrations" in names(Phase.VERIFY)
    assert "verify.los-core-api.rows" in names(Phase.VERIFY)


def test_the_revert_is_repeated_until_nothing_is_left_and_checked_before_a_rerun() -> None:
    made = planned(request(mode=Mode.WIPE, services=["workflow-api"]))
    revert = next(step for step in made.steps if step.name == "seed.workflow-api.revert")
    assert revert.repeat is not None
    assert revert.repeat.until == "Nothing to revert!"
    assert revert.idempotent == "rerun-after-check"
    assert revert.check


def test_git_follows_the_mode_and_can_be_asked_for_or_left_out() -> None:
    assert names(Phase.GIT, mode=Mode.WIPE) == ["git.qa-workflows"]
    assert names(Phase.GIT, mode=Mode.SEED) == []
    assert names(Phase.GIT, mode=Mode.SEED, git=True) == ["git.qa-workflows"]
    assert names(Phase.GIT, git=False) == []


def test_a_core_database_is_backed_up_once_and_shaken_hands_over_by_both_services() -> None:
    made = planned(request(services=CORE))
    backups = [step.name for step in made.steps if step.kind == "backup-database"]
    assert backups == ["backup.data-builder", "backup.los-sandbox"]
    shakes = [step.name for step in made.steps if step.kind == "handshake"]
    assert shakes == [
        "backup.handshake.data-builder-api.data-builder",
        "backup.handshake.data-builder-api.core",
        "backup.handshake.los-core-api",
    ]


def test_system_seed_can_never_be_skipped_and_a_wipe_makes_no_seed_skippable() -> None:
    for mode in Mode:
        made = planned(request(mode=mode))
        system = next(step for step in made.steps if step.name == "seed.los-core-api.system")
        assert not system.skippable
    wiped = planned(request(mode=Mode.WIPE))
    assert [step.name for step in wiped.steps if step.skippable] == ["git.qa-workflows"]
