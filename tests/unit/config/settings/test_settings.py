from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from daemon.config.environment_variables import Duration
from daemon.config.masked_settings import in_force, unknown
from daemon.config.settings import Settings, SettingsError, load, load_client

PASSWORD = "correct-horse"
PUBLIC = {
    "DATA_DIR", "DATABASE_URL", "DATABASE_HOSTS", "DATABASE_CA_FILE", "CATALOG",
    "KAFKA_BOOTSTRAP_SERVERS", "KAFKA_SECURITY_PROTOCOL",
    "KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD", "KAFKA_SSL_CAFILE", "KAFKA_SSL_CERTFILE",
    "KAFKA_SSL_KEYFILE", "KAFKA_GROUP_ID", "REQUESTS_TOPIC", "ENVIRONMENTS_TOPIC", "STATUS_TOPIC",
    "DEAD_LETTERS_TOPIC", "KUBECONFIG", "KUBE_CONTEXT", "ARGOCD_NAMESPACE", "GITHUB_API_URL", "GITHUB_OWNER",
    "GITHUB_TOKEN", "GITHUB_APP_ID", "GITHUB_APP_PRIVATE_KEY", "GITHUB_APP_INSTALLATION_ID", "BACKUP_URL",
    "BACKUP_AGE_RECIPIENTS_FILE", "BACKUP_AGE_IDENTITIES_FILE",
    "BACKUP_KEEP", "BACKUP_KEEP_DAYS", "PG_BIN", "PG_ADMIN_URLS_FILE", "API_HOST", "API_PORT", "PUBLIC_URL",
    "API_TOKENS", "OIDC_ISSUER", "OIDC_AUDIENCE", "OIDC_ROLES_CLAIM", "MAX_CONCURRENT_RESETS",
    "KAFKA_SESSION_TIMEOUT", "LEASE_TTL", "APPROVAL_TTL", "HANDSHAKE_MAX_AGE", "REQUEST_MAX_AGE",
    "RETENTION_RESETS", "RETENTION_RECORDS", "RETENTION_ANSWERS", "RETENTION_AUDIT",
    "LOG_FORMAT", "LOG_LEVEL",
}  # fmt: skip


def refused(**given: object) -> str:
    with pytest.raises(SettingsError) as error:
        load(**given)
    return str(error.value)


def test_every_public_name_is_there_and_no_other() -> None:
    assert {name.upper() for name in Settings.model_fields} == PUBLIC


def test_without_any_variable_the_defaults_are_those_that_are_documented() -> None:
    settings = load()
    assert settings.data_dir == Path("var")
    assert settings.state_url.get_secret_value() == "sqlite+aiosqlite:///var/state.sqlite3"
    assert settings.backups == (Path.cwd() / "var/backups").as_uri()
    assert settings.api_url == "http://127.0.0.1:8080"
    assert settings.lease_ttl == timedelta(seconds=6)
    assert settings.kafka_session_timeout == timedelta(seconds=10)
    assert settings.approval_ttl == settings.request_max_age == timedelta(hours=24)
    assert settings.requests_topic == "fuse.environment-resets.requests.v1"
    assert settings.argocd_namespace == "argocd"
    assert settings.max_concurrent_resets == 8


def test_what_is_kept_for_good_is_written_never_or_0(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load().retention_resets == timedelta(days=400)
    assert load().retention_records == load().retention_answers == timedelta(days=30)
    assert load().retention_audit is None
    for word in ("never", "0", "Never"):
        monkeypatch.setenv("RESETD_RETENTION_RESETS", word)
        assert load().retention_resets is None
    monkeypatch.setenv("RESETD_RETENTION_RESETS", "90d")
    assert load().retention_resets == timedelta(days=90)


@pytest.mark.parametrize("name", ["retention_records", "retention_answers"])
def test_events_are_known_for_as_long_as_they_may_be_taken_in(name: str) -> None:
    assert getattr(load(**{name: "48h"}), name) == timedelta(hours=48)
    assert f"RESETD_{name.upper()}" in refused(**{name: "47h"})
    assert f"RESETD_{name.upper()}" in refused(request_max_age="16d", **{name: "30d"})


def test_variables_are_read_and_an_empty_one_is_unset_but_for_argocd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESETD_API_PORT", "")
    monkeypatch.setenv("RESETD_ARGOCD_NAMESPACE", "")
    monkeypatch.setenv("RESETD_LEASE_TTL", "1m30s")
    monkeypatch.setenv("RESETD_LOG_FORMAT", "JSON")
    settings = load()
    assert settings.api_port == 8080
    assert settings.argocd_namespace == ""
    assert settings.lease_ttl == timedelta(seconds=90)
    assert settings.log_format == "json"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_postgresql_is_reached_by_one_driver_however_it_is_written(scheme: str) -> None:
    url = load(database_url=f"{scheme}://a:b@host:5432/db?sslmode=require").state_url.get_secret_value()
    assert url == "postgresql+psycopg://a:b@host:5432/db?sslmode=require"


def test_a_secret_is_read_from_a_file_without_its_last_line_break(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{PASSWORD}\n")
    for name in ("DATABASE_URL", "KAFKA_SASL_PASSWORD", "GITHUB_TOKEN"):
        content = tmp_path / name
        content.write_text(
            f"postgresql://a:{PASSWORD}@db/x\n" if name == "DATABASE_URL" else f"{PASSWORD}\r\n"
        )
        monkeypatch.setenv(f"RESETD_{name}_FILE", str(content))
    monkeypatch.setenv("RESETD_TOKEN_FILE", str(file))
    settings = load()
    assert settings.kafka_sasl_password is not None
    assert settings.kafka_sasl_password.get_secret_value() == PASSWORD
    assert settings.github_token is not None
    assert settings.state_url.get_secret_value().endswith(f"a:{PASSWORD}@db/x")
    token = load_client().token
    assert token is not None
    assert token.get_secret_value() == PASSWORD
    shown = str(in_force(settings))
    assert PASSWORD not in shown
    assert PASSWORD not in repr(settings)
    assert "postgresql+psycopg://a:***@db/x" in shown


@pytest.mark.parametrize("case", ["missing", "empty", "both", "binary"])
def test_a_file_that_gives_no_secret_is_refused_by_its_variables_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    file = tmp_path / "secret"
    if case != "missing":
        file.write_bytes({"empty": b"\n", "both": b"x", "binary": b"\xff\xfe"}[case])
    if case == "both":
        monkeypatch.setenv("RESETD_GITHUB_TOKEN", PASSWORD)
    monkeypatch.setenv("RESETD_GITHUB_TOKEN_FILE", str(file))
    text = refused()
    assert text.startswith("RESETD_GITHUB_TOKEN_FILE: ")
    assert ";" in text
    assert PASSWORD not in text


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("api_port", "many", "RESETD_API_PORT: "),
        ("api_port", "70000", "RESETD_API_PORT: "),
        ("lease_ttl", "6", "write it like 24h"),
        ("lease_ttl", "0s", "RESETD_LEASE_TTL: has to be longer than nothing"),
        ("database_url", f"mysql://a:{PASSWORD}@db/x", "RESETD_DATABASE_URL: is no URL of PostgreSQL"),
        ("backup_url", "ftp://x", "RESETD_BACKUP_URL: names no known store"),
        ("public_url", "resetd.example", "RESETD_PUBLIC_URL: is no web address"),
        ("log_level", "loud", "RESETD_LOG_LEVEL: "),
        ("max_concurrent_resets", "0", "RESETD_MAX_CONCURRENT_RESETS: "),
        ("github_app_id", "5", "RESETD_GITHUB_APP_PRIVATE_KEY: is needed"),
        ("kafka_security_protocol", "SASL_SSL", "RESETD_KAFKA_SASL_PASSWORD: is needed"),
        ("oidc_issuer", "https://id.example", "RESETD_OIDC_AUDIENCE: is needed"),
    ],
)
def test_a_wrong_setting_is_refused_by_name_with_the_next_step_and_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(f"RESETD_{name.upper()}", value)
    text = refused()
    assert expected in text
    assert PASSWORD not in text


def test_all_that_is_wrong_is_said_at_once() -> None:
    assert len(refused(api_port="x", lease_ttl="y", log_level="z").splitlines()) == 3


def test_what_kubernetes_sets_for_a_service_is_told_apart_from_a_mistake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RESETD_API_PORT", "tcp://10.0.0.1:8080")
    assert "enableServiceLinks: false" in refused()


def test_a_misspelt_setting_is_pointed_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESETD_KAFKA_BOOTSTRAP_SERVER", "x:1")
    monkeypatch.setenv("RESETD_PORT", "tcp://10.0.0.1:8080")
    assert unknown() == (("RESETD_KAFKA_BOOTSTRAP_SERVER", "RESETD_KAFKA_BOOTSTRAP_SERVERS"),)


@given(st.integers(1, 10**7))
def test_a_duration_means_the_same_in_every_unit(seconds: int) -> None:
    read = TypeAdapter(Duration).validate_python
    assert read(f"{seconds}s") == timedelta(seconds=seconds) == read(f"{seconds * 1000}ms")
    assert read(f"{seconds}m") == timedelta(minutes=seconds)


def test_addresses_of_databases_are_named_by_host() -> None:
    settings = load(database_hosts="db.qa-sandbox.svc=10.0.0.7, DB.other.svc.=fd00::7")
    assert settings.addresses_of_databases == {"db.qa-sandbox.svc": "10.0.0.7", "db.other.svc": "fd00::7"}


@pytest.mark.parametrize("given", ["localhost=10.0.0.7", "127.0.0.1=10.0.0.7", "db=db2", "db", "=10.0.0.7"])
def test_what_is_each_pods_own_gets_no_address(given: str) -> None:
    assert "RESETD_DATABASE_HOSTS" in refused(database_hosts=given)
