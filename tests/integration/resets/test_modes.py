"""Whole resets in each mode leave what the guide's commands leave, typed by hand on databases as dirty."""

from __future__ import annotations

from tests.integration.by_hand import cases
from tests.integration.by_hand.stage import Stage

USERS = {"dana@client.example", "eli@client.example"}


def test_a_wipe_leaves_only_what_migrations_and_seeds_make(stage: Stage) -> None:
    done = stage.play(cases.WIPE)
    # `migration:revert` undoes what TypeORM did, and knows nothing of a table that a person made.
    kept = {name for name, tables in done.databases.items() if "scratch_notes" in tables}
    assert kept == {"workflow-builder"}
    assert done.databases["integrations"]["credentials"] == []
    assert not USERS & done.column("los-sandbox", "users", "email")
    assert "ada@mock.example" in done.column("los-sandbox", "users", "email")
    assert "own-sequence" not in done.column("sequence-builder", "sequences", "code")


def test_a_refresh_migrates_repairs_the_systems_rows_and_truncates_integrations_only(stage: Stage) -> None:
    done = stage.play(cases.REFRESH)
    assert done.databases["integrations"]["user_mappings"] == []
    assert done.databases["integrations"]["credentials"] == []
    assert done.databases["integrations"]["scratch_notes"] == []
    assert done.column("los-sandbox", "users", "email") >= USERS
    assert "viewer" in done.column("los-sandbox", "roles", "code")
    assert "own-workflow" in done.column("workflow-builder", "workflows", "code")
    assert len(done.databases["data-builder"]["scratch_notes"]) == 2


def test_a_seed_keeps_users_data_and_the_repository(stage: Stage) -> None:
    done = stage.play(cases.SEED)
    assert done.column("integrations", "user_mappings", "user_email") >= USERS
    assert "users-own-secret" in done.column("integrations", "credentials", "secret")
    assert "https://changed.example" not in done.column("integrations", "system_configs", "value")
    assert "own-tag" in done.column("data-builder", "tags", "name")


def test_a_subset_touches_nothing_else_and_keeps_users_data_where_asked_to(stage: Stage) -> None:
    untouched = ("data-builder", "los-sandbox", "sequence-builder", "workflow-builder")
    done = stage.play(cases.SUBSET)
    stage.snapshots.put_back(cases.SUBSET.outdated)
    before = stage.databases()
    assert [name for name in untouched if done.databases[name] != before[name]] == []
    assert done.column("integrations", "user_mappings", "user_email") >= USERS
    assert "users-own-secret" in done.column("integrations", "credentials", "secret")
