from __future__ import annotations

import pytest
from pydantic import ValidationError

from daemon.config.catalog_file import load_catalog
from schemas.catalog.catalog import Catalog, Database, Repository, Service
from schemas.catalog.operations import Notification, Retry, Schedule, Window

PARTS = {
    "host": "DB_HOST",
    "port": "DB_PORT",
    "user": "DB_USER",
    "password": "DB_PASSWORD",
    "database": "DB_NAME",
}


def database(**fields: object) -> Database:
    return Database.model_validate({"name": "main", "handshake": {"argv": ["psql"]}} | fields)


def test_the_url_is_in_database_url_unless_the_catalog_says_otherwise() -> None:
    assert database().url({"DATABASE_URL": "postgresql://db/a"}) == "postgresql://db/a"
    assert database(urlVariable="CORE").url({"DATABASE_URL": "a", "CORE": "b"}) == "b"
    assert database().url({}) is None
    assert database().url({"DATABASE_URL": ""}) is None


def test_a_url_made_of_parts_keeps_odd_passwords_whole() -> None:
    values = {"DB_HOST": "db", "DB_PORT": "5433", "DB_USER": "u", "DB_PASSWORD": "p@/:?", "DB_NAME": "main"}
    assert database(urlParts=PARTS).url(values) == "postgresql://u:p%40%2F%3A%3F@db:5433/main"
    assert database(urlParts=PARTS).url({**values, "DB_HOST": ""}) is None
    assert database(urlParts=PARTS).variables == tuple(PARTS.values())


def test_the_daemons_own_url_is_the_direct_one_where_the_pod_has_it() -> None:
    declared = database(urlParts=PARTS, directUrlVariable="DIRECT")
    assert declared.variables == (*PARTS.values(), "DIRECT")
    assert declared.direct_url({"DIRECT": "postgresql://db/a"}) == "postgresql://db/a"
    assert declared.direct_url({"DIRECT": ""}) is None
    assert database().direct_url({"": "postgresql://db/a"}) is None
    assert database(directUrlVariable="DIRECT").url({"DATABASE_URL": "postgresql://pooler/a"}) is not None


def test_a_url_comes_from_one_place() -> None:
    with pytest.raises(ValidationError, match="not both"):
        database(urlVariable="A", urlParts=PARTS)


def test_operations_are_checked_when_they_are_read() -> None:
    Window(
        name="nights",
        environments=("qa-*",),
        opens="0 22 * * *",
        duration_minutes=480,
        time_zone="Europe/Berlin",
    )
    with pytest.raises(ValidationError, match="time zone"):
        Window(
            name="n", environments=("qa-*",), opens="0 22 * * *", duration_minutes=1, time_zone="Mars/Base"
        )
    with pytest.raises(ValidationError, match="schedule"):
        Schedule(name="weekly", environment="qa-sandbox", schedule="every monday")
    with pytest.raises(ValidationError, match="below initialDelay"):
        Retry(initial_delay=10, maximum_delay=5)
    with pytest.raises(ValidationError, match="url"):
        Notification(url="https://user:secret@hooks.example/x", secret_file="/run/hook")


def step(**fields: object) -> dict[str, object]:
    return {"name": "sync", "phase": "seed", "argv": ["sync"], "databases": [], "idempotent": "safe"} | fields


def service(*steps: dict[str, object]) -> Service:
    return Service.model_validate(
        {
            "name": "app",
            "databases": [{"name": "main", "handshake": {"argv": ["psql"]}}],
            "steps": {"wipe": [], "refresh": [], "seed": list(steps)},
        }
    )


@pytest.mark.parametrize("idempotent", ["never", "rerun-after-check"])
def test_what_is_void_in_another_container_has_to_be_safe_to_run_again(idempotent: str) -> None:
    check = {"check": ["true"]} if idempotent == "rerun-after-check" else {}
    with pytest.raises(ValidationError, match="idempotent has to be safe"):
        service(step(scope="container", idempotent=idempotent, **check))


def test_what_is_void_in_another_container_runs_where_the_other_steps_run() -> None:
    assert service(step(scope="container", runIn="holder"), step(name="seed", runIn="holder"))
    with pytest.raises(ValidationError, match="all need one runIn"):
        service(step(scope="container"), step(name="seed", runIn="holder"))


def test_a_repositorys_name_and_branch_are_filled_in_for_an_environment() -> None:
    declared = Repository(pattern="{client}-workflows", branch="env/{client}-{kind}")
    assert declared.name_for("los-demo-sandbox") == "los-demo-workflows"
    assert declared.branch_for("los-demo-sandbox") == "env/los-demo-sandbox"
    assert Repository(pattern="w").branch_for("los-demo-sandbox") is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"pattern": "{owner}-workflows"}, "filled in"),
        ({"pattern": "w", "branch": "{env}"}, "filled in"),
        ({"pattern": "w", "branch": "backup/{kind}"}, "backup branch"),
        ({"pattern": "w", "branch": "a b"}, "pattern"),
        ({"pattern": "w", "expectedRoot": "abc"}, "pattern"),
    ],
)
def test_a_repository_that_can_not_be_meant_is_refused(wrong: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Repository.model_validate(wrong)


def test_a_catalog_names_a_repository_once() -> None:
    shipped = load_catalog().catalog.model_dump(mode="json", by_alias=True)
    twice = [{"pattern": "{client}-workflows"}, {"pattern": "{client}-Workflows", "branch": "b"}]
    with pytest.raises(ValidationError, match="listed twice"):
        Catalog.model_validate({**shipped, "repositories": twice})
