"""Requests, and the commands that a person types for each: written down from the guide, never from the catalog.

The commands of one request are in the order of the pipeline: what touches core first, then service by service.
"""

from __future__ import annotations

from sandbox.platform.snapshots import DATABASES
from schemas.publish import Mode, Option
from tests.integration.by_hand.stage import Case

DATA_BUILDER, LOS_CORE, INTEGRATIONS = "data-builder-api", "los-core-api", "los-integrations"
SEQUENCE, UI, WORKFLOW = "sequence-builder-api", "ui-builder-api", "workflow-api"

WIPE = Case(
    {"mode": Mode.WIPE, "options": (Option.MOCK, Option.POPULATE_CORE_ENTITIES)},
    (
        (DATA_BUILDER, "npm run db:migrate-reset"),
        (DATA_BUILDER, "npm run db:sync-model"),
        (LOS_CORE, "npm run prisma:migrate:prod"),
        (DATA_BUILDER, "npm run db:seed:data-builder"),
        (LOS_CORE, "npm run seed:system"),
        (LOS_CORE, "npm run seed:mock"),
        (INTEGRATIONS, "npx prisma migrate reset --force"),
        (INTEGRATIONS, "npm run seed:reset"),
        (SEQUENCE, "npx prisma migrate reset --force"),
        (SEQUENCE, "npm run seed"),
        (UI, "npx prisma migrate reset --force"),
        (UI, "npm run seed"),
        (UI, "npm run populate-core-entities"),
        # One for each of three migrations, and one that says that nothing is left.
        (WORKFLOW, "npm run db:revert-migration"),
        (WORKFLOW, "npm run db:revert-migration"),
        (WORKFLOW, "npm run db:revert-migration"),
        (WORKFLOW, "npm run db:revert-migration"),
        (WORKFLOW, "npm run db:run-migrations"),
        (WORKFLOW, "npm run seed"),
    ),
)
REFRESH = Case(
    {},
    (
        (DATA_BUILDER, "npm run db:deploy"),
        (DATA_BUILDER, "npm run db:sync-model"),
        (LOS_CORE, "npm run prisma:migrate:prod"),
        (DATA_BUILDER, "npm run db:seed:data-builder"),
        (LOS_CORE, "npm run seed:system"),
        (INTEGRATIONS, "npm run prisma:migrate:prod"),
        (INTEGRATIONS, "npm run seed:reset"),
        (SEQUENCE, "npx prisma migrate deploy"),
        (SEQUENCE, "npm run seed"),
        (UI, "npx prisma migrate deploy"),
        (UI, "npm run seed"),
        (WORKFLOW, "npm run db:run-migrations"),
        (WORKFLOW, "npm run seed"),
    ),
    outdated=DATABASES,
)
SEED = Case(
    {"mode": Mode.SEED},
    (
        (DATA_BUILDER, "npm run db:seed:data-builder"),
        (LOS_CORE, "npm run seed:system"),
        (INTEGRATIONS, "npm run seed:sync"),
        (SEQUENCE, "npm run seed"),
        (UI, "npm run seed"),
        (WORKFLOW, "npm run seed"),
    ),
    git=False,
)
SUBSET = Case(
    {
        "services": (UI, INTEGRATIONS),  # not in the guide's order, which it gets all the same
        "options": (Option.KEEP_USER_DATA, Option.POPULATE_CORE_ENTITIES),
        "git": False,
    },
    (
        (INTEGRATIONS, "npm run prisma:migrate:prod"),
        (INTEGRATIONS, "npm run seed:sync"),
        (UI, "npx prisma migrate deploy"),
        (UI, "npm run seed"),
        (UI, "npm run populate-core-entities"),
    ),
    outdated=DATABASES,
    git=False,
)

OWN_SCHEMA = Case(
    {"services": (DATA_BUILDER, INTEGRATIONS), "integrations": ("hubspot",), "git": False},
    (
        (DATA_BUILDER, "npm run db:deploy:data-builder"),
        (DATA_BUILDER, "npm run db:sync-model:data-builder"),
        (DATA_BUILDER, "npm run db:seed:data-builder"),
        (INTEGRATIONS, "npm run prisma:migrate:prod"),
        (INTEGRATIONS, "npm run seed:sync -- --integration hubspot"),
    ),
    outdated=frozenset({"data-builder", "integrations"}),
    git=False,
)
OWN_SCHEMA_WIPED = Case(
    {"mode": Mode.WIPE, "services": (DATA_BUILDER, INTEGRATIONS), "integrations": ("base", "docusign")},
    (
        (DATA_BUILDER, "npm run db:data-builder:danger:migrate-reset"),
        (DATA_BUILDER, "npm run db:sync-model:data-builder"),
        (DATA_BUILDER, "npm run db:seed:data-builder"),
        (INTEGRATIONS, "npx prisma migrate reset --force"),
        (INTEGRATIONS, "npm run seed:sync -- --integration base"),
        (INTEGRATIONS, "npm run seed:sync -- --integration docusign"),
    ),
)
CORE_WIPED = Case(
    {
        "services": (DATA_BUILDER, LOS_CORE),
        "service_modes": {LOS_CORE: Mode.WIPE},
        "options": (Option.MOCK,),
    },
    (
        (DATA_BUILDER, "npm run db:migrate-reset:core"),
        (DATA_BUILDER, "npm run db:deploy:data-builder"),
        (DATA_BUILDER, "npm run db:sync-model"),
        (LOS_CORE, "npm run prisma:migrate:prod"),
        (DATA_BUILDER, "npm run db:seed:data-builder"),
        (LOS_CORE, "npm run seed:system"),
        (LOS_CORE, "npm run seed:mock"),
    ),
    outdated=frozenset({"data-builder"}),
)
CORE_WIPED_BY_ITS_OWNER = Case(
    {"mode": Mode.WIPE, "services": (LOS_CORE,), "git": False},
    (
        (LOS_CORE, "npx prisma migrate reset --force"),
        (LOS_CORE, "npm run prisma:migrate:prod"),
        (LOS_CORE, "npm run seed:system"),
    ),
    git=False,
)
CORE_AND_SEED = Case(
    {"mode": Mode.SEED, "services": (DATA_BUILDER,), "core": True, "git": True},
    (
        (DATA_BUILDER, "npm run db:deploy:core"),
        (DATA_BUILDER, "npm run db:sync-model:core"),
        (DATA_BUILDER, "npm run db:seed:data-builder"),
    ),
    outdated=frozenset({"los-sandbox"}),
)
CORE_AND_SEED_BY_ITS_OWNER = Case(
    {"mode": Mode.SEED, "services": (LOS_CORE,), "core": True},
    (
        (LOS_CORE, "npm run prisma:migrate:prod"),
        (LOS_CORE, "npm run seed:system"),
    ),
    outdated=frozenset({"los-sandbox"}),
    git=False,
)

WHOLE = (WIPE, REFRESH, SEED)
PARTS = (
    SUBSET,
    OWN_SCHEMA,
    OWN_SCHEMA_WIPED,
    CORE_WIPED,
    CORE_WIPED_BY_ITS_OWNER,
    CORE_AND_SEED,
    CORE_AND_SEED_BY_ITS_OWNER,
)

TROUBLESHOOTING = (
    (DATA_BUILDER, "npx prisma migrate status --schema=./prisma-data-builder/schema.prisma"),
    (DATA_BUILDER, "npx prisma migrate status --schema=./prisma-core/schema.prisma"),
    (DATA_BUILDER, "npx prisma db execute --stdin --schema=./prisma-data-builder/schema.prisma"),
    (DATA_BUILDER, "npx prisma db execute --stdin --schema=./prisma-core/schema.prisma"),
    (LOS_CORE, "npx prisma migrate status --schema=prisma/schema.prisma"),
    (LOS_CORE, "npx prisma db execute --stdin --schema=prisma/schema.prisma"),
    (INTEGRATIONS, "npx prisma migrate status --schema=prisma/schema.prisma"),
    (INTEGRATIONS, "npx prisma db execute --stdin --schema=prisma/schema.prisma"),
    (INTEGRATIONS, "npm run seed:dry"),
    (INTEGRATIONS, "npm run seed:list"),
    (SEQUENCE, "npx prisma migrate status --schema=prisma/schema.prisma"),
    (SEQUENCE, "npx prisma db execute --stdin --schema=prisma/schema.prisma"),
    (UI, "npx prisma migrate status --schema=prisma/schema.prisma"),
    (UI, "npx prisma db execute --stdin --schema=prisma/schema.prisma"),
    (WORKFLOW, "npx typeorm migration:show -d data-source.js"),
    (WORKFLOW, "npx typeorm query SELECT 1 -d data-source.js"),
)
"""What the guide has a person look with, for each service; as the witness reads it, without what is piped in."""
