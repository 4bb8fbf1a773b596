"""Verbs that need no running daemon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.stand.starts import forks


def resetd(*args: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RESETD_")}
    return forks().run(args, {**kept, **variables}, within=60)


def test_config_shows_what_is_in_force_without_secrets_and_what_is_misspelt() -> None:
    variables = {
        "RESETD_DATABASE_URL": "postgresql://app:hunter22@db/resetd",
        "RESETD_GITHUB_TOKEN": "hunter22-of-github",
        "RESETD_KAFKA_BOOTSTRAP_SERVER": "x:1",
    }
    table, document = resetd("config", **variables), resetd("config", "-o", "json", **variables)
    assert (table.returncode, document.returncode) == (0, 0)
    assert "hunter22" not in table.stdout + table.stderr + document.stdout
    assert "did you mean RESETD_KAFKA_BOOTSTRAP_SERVERS" in table.stderr
    rows = {row["name"]: row for row in json.loads(document.stdout)}
    assert rows["RESETD_DATABASE_URL"]["value"] == "postgresql+psycopg://app:***@db/resetd"
    assert rows["RESETD_DATABASE_URL"]["origin"] == "environment"
    assert rows["RESETD_LEASE_TTL"] == {"name": "RESETD_LEASE_TTL", "value": "6s", "origin": "default"}


def test_config_marks_what_is_given_and_has_no_effect() -> None:
    marked = "RESETD_OIDC_AUDIENCE: nothing acts on it yet, so no new reset starts"
    given, silent = resetd("config", RESETD_OIDC_AUDIENCE="resetd-of-example"), resetd("config")
    assert (given.returncode, silent.returncode) == (0, 0)
    assert given.stderr == f"{marked}\n"
    assert silent.stderr == ""


@pytest.mark.parametrize("args", [["config"], ["config", "-o", "json"], ["config", "-o", "name"], ["--help"]])
def test_who_reads_no_more_is_told_from_a_reset_that_failed_and_from_one_that_is_done(
    args: list[str],
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "daemon", *args],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, "")


def test_a_data_directory_that_can_not_be_made_is_named_with_its_setting() -> None:
    ended = resetd("serve", RESETD_DATA_DIR="/proc/x", RESETD_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert ended.returncode == 2
    assert "RESETD_DATA_DIR: /proc/x" in ended.stderr
    assert "running already" not in ended.stderr


KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: nowhere
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]
clusters: [{name: nowhere, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: nobody, user: {token: none}}]
"""


def test_serve_names_what_was_given_and_has_no_effect_before_it_has_started(tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    variables = {
        "RESETD_DATA_DIR": str(tmp_path / "data"),
        "RESETD_KUBECONFIG": str(tmp_path / "kubeconfig"),
        "RESETD_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "RESETD_GITHUB_OWNER": "nobody",
        "RESETD_API_PORT": "0",
        "RESETD_LOG_FORMAT": "json",
        "RESETD_OIDC_AUDIENCE": "resetd-of-example",
        "RESETD_BACKUP_AGE_RECIPIENTS_FILE": str(tmp_path / "recipients"),
        "RESETD_BACKUP_AGE_IDENTITIES_FILE": str(tmp_path / "lost"),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RESETD_")}
    with subprocess.Popen(
        [sys.executable, "-m", "daemon", "serve"], env=kept | variables, stderr=subprocess.PIPE, text=True
    ) as serving:
        assert serving.stderr is not None
        lines = []
        for line in serving.stderr:
            lines.append(json.loads(line))
            if lines[-1]["event"] == "daemon.started":
                break
        serving.terminate()
        rest = serving.stderr.read()
    assert lines[-1]["event"] == "daemon.started", lines
    warned = [line for line in lines if line["event"] == "settings.without-effect"]
    assert [(line["level"], line["setting"]) for line in warned] == [("warning", "RESETD_OIDC_AUDIENCE")]
    assert "resetd-of-example" not in f"{lines}{rest}"
    assert "settings.without-effect" not in rest
    [lost] = [line for line in lines if line["event"] == "backups.keys-unusable"]
    assert lost["level"] == "error"


def test_what_serve_writes_is_for_its_owner_only(tmp_path: Path) -> None:
    data = tmp_path / "data"
    resetd(
        "serve", RESETD_DATA_DIR=str(data), RESETD_KAFKA_BOOTSTRAP_SERVERS="x:1", RESETD_CATALOG="/no/such"
    )
    assert data.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "RESETD_KAFKA_BOOTSTRAP_SERVERS: is needed"),
        ({"RESETD_LEASE_TTL": "soon"}, "RESETD_LEASE_TTL: is no duration"),
        (
            {"RESETD_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "RESETD_CATALOG": "/no/such.yaml"},
            "/no/such.yaml:1: ",
        ),
    ],
)
def test_serve_refuses_what_is_wrong_before_it_starts_anything(
    tmp_path: Path, variables: dict[str, str], expected: str
) -> None:
    ended = resetd("serve", RESETD_DATA_DIR=str(tmp_path), **variables)
    assert ended.returncode == 2
    assert expected in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_catalog_in_force_is_valid_and_a_wrong_one_is_refused_with_line_and_field(tmp_path: Path) -> None:
    file = tmp_path / "catalog.yaml"
    shown = resetd("catalog", "show")
    file.write_text(shown.stdout.replace("  protected: true", "  protected: perhaps", 1))
    good, wrong = resetd("catalog", "check"), resetd("catalog", "check", str(file))
    assert good.returncode == 0
    assert "6 services" in good.stdout
    assert wrong.returncode == 2
    assert f"{file}:" in wrong.stderr
    assert "protected" in wrong.stderr


def test_the_state_database_is_made_and_compared(tmp_path: Path) -> None:
    before = resetd("db", "check", RESETD_DATA_DIR=str(tmp_path))
    upgraded = resetd("db", "upgrade", RESETD_DATA_DIR=str(tmp_path))
    after = resetd("db", "check", RESETD_DATA_DIR=str(tmp_path))
    assert (before.returncode, upgraded.returncode, after.returncode) == (1, 0, 0)
    assert "resetd db upgrade" in before.stderr


def test_a_database_that_does_not_answer_is_said_without_its_password() -> None:
    ended = resetd("db", "check", RESETD_DATABASE_URL="postgresql://app:hunter22@127.0.0.1:1/x")
    assert ended.returncode == 5
    assert "hunter22" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_command_line_loads_no_client_of_the_daemons_world() -> None:
    heavy = "aiokafka kubernetes_asyncio sqlalchemy sqlmodel alembic fastapi github"
    code = f"import sys, daemon.__main__; print([m for m in {heavy.split()!r} if m in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


@pytest.mark.parametrize("args", [[], ["--help"], ["request", "--help"], ["--show-completion", "bash"]])
def test_help_and_completion_are_there(args: list[str]) -> None:
    # Typer asks which shell its parent is and takes that for the one named: under CI it is `sh`.
    ended = resetd(*args, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "resetd" in ended.stdout or "Usage" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
