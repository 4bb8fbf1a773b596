"""`resetd db`: check finds what was tampered with, adopt shows, asks and records."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from daemon.adapters.store import embedded_lock, migrations
from daemon.adapters.store.connections.addresses import file_of, parse
from daemon.config.settings import load
from tests.unit.cli.test_verbs_without_daemon import resetd


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Data directory of a daemon whose state database is up to date."""
    migrations.upgrade(url_of(tmp_path))
    return tmp_path


def url_of(data_dir: Path) -> str:
    return load(data_dir=data_dir).state_url.get_secret_value()


def state_file(data_dir: Path) -> Path:
    return file_of(parse(url_of(data_dir)))


def marked_by_another(data_dir: Path) -> None:
    """Put the marks of a lost state beside the backups."""
    folder = data_dir / "backups" / "marks" / "a-lost-state" / f"{0:015d}"
    folder.mkdir(parents=True)
    mark = (
        '{"position":{"number":7,"digest":"ab"},"at":"2026-11-26T12:00:00Z","launches":[{"attempt":'
        '"01a2185d-0000-7000-8000-000000000000/seed.los-core-api.system/1","environment":"qa-sandbox",'
        '"eventSource":"/pipeline","eventId":"41"}]}'
    )
    (folder / f"{7:018d}-ab-00000000.json").write_text(mark)


def rows(data_dir: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(state_file(data_dir))) as connection:
        return connection.execute(query).fetchall()


def test_check_says_that_nothing_was_tampered_with_or_names_the_line(data_dir: Path) -> None:
    variables = {"RESETD_DATA_DIR": str(data_dir)}
    whole = resetd("db", "check", **variables)
    assert (whole.returncode, "as they were written" in whole.stdout) == (0, True)
    with closing(sqlite3.connect(state_file(data_dir))) as connection:
        connection.execute("INSERT INTO audit_heads VALUES ('resetd', 3, 'sha256:x')")
        connection.commit()
    broken = resetd("db", "check", **variables)
    assert broken.returncode == 1
    assert "audit of resetd: line 1 is missing (there were 3)" in broken.stderr


def test_adopt_shows_what_it_finds_and_does_nothing_without_a_reason_and_consent(data_dir: Path) -> None:
    marked_by_another(data_dir)
    variables = {"RESETD_DATA_DIR": str(data_dir)}
    for more in (["--yes"], ["--reason", "the disk died"]):
        ended = resetd("db", "adopt", *more, **variables)
        assert ended.returncode == 2, ended.stderr
        assert "a-lost-state" in ended.stdout
        assert "seed.los-core-api.system" in ended.stdout
        assert "not in this state" in ended.stdout
    assert rows(data_dir, "SELECT * FROM audit") == []


def test_adopt_records_who_and_why_and_that_the_lost_events_were_handled(data_dir: Path) -> None:
    marked_by_another(data_dir)
    variables = {"RESETD_DATA_DIR": str(data_dir)}
    adopted = resetd("db", "adopt", "--yes", "--reason", "the disk died", **variables)
    assert adopted.returncode == 0, adopted.stderr
    assert rows(data_dir, "SELECT action, reason, channel FROM audit") == [
        ("adopt", "the disk died", "command-line")
    ]
    assert rows(data_dir, "SELECT source, event_id FROM seen_events") == [("/pipeline", "41")]
    assert "nothing to adopt" in resetd("db", "adopt", **variables).stdout


def test_a_state_that_a_daemon_uses_is_not_adopted(data_dir: Path) -> None:
    marked_by_another(data_dir)
    with embedded_lock(url_of(data_dir)):
        ended = resetd("db", "adopt", "--yes", "--reason", "why", RESETD_DATA_DIR=str(data_dir))
    assert ended.returncode == 2
    assert "another resetd" in ended.stderr


def test_a_data_directory_that_can_not_be_made_is_told_in_a_line(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    ended = resetd("db", "check", RESETD_DATA_DIR=str(blocked / "var"))
    assert ended.returncode == 2
    assert f"RESETD_DATA_DIR: {blocked / 'var'} can't be made" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_state_that_the_upgrade_makes_is_its_owners_alone(tmp_path: Path) -> None:
    made = resetd("db", "upgrade", RESETD_DATA_DIR=str(tmp_path / "var"))
    assert made.returncode == 0
    assert (tmp_path / "var").stat().st_mode & 0o077 == 0
    assert state_file(tmp_path / "var").stat().st_mode & 0o077 == 0
