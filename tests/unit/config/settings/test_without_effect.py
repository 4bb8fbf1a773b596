"""Settings that nothing acts on: which they are, and that whoever gives one is warned."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

import daemon
from daemon.config.catalog_file import load_catalog
from daemon.config.settings import Settings, load
from daemon.config.without_effect import WITHOUT_EFFECT, given_without_effect, warn_of_what_has_no_effect

ROOM = Path(daemon.__file__).parent
SETTINGS = ROOM / "config/settings.py"
SHOWN = ROOM / "config/masked_settings.py"
"""This module shows every setting. To be shown is no effect."""
VALUES = {
    "oidc_issuer": "https://id.example.com",
    "oidc_audience": "resetd-of-example",
    "oidc_roles_claim": "groups-of-example",
}


def read_from(file: Path) -> Iterator[str]:
    """Find what a module reads of the settings: each NAME in `settings.NAME` or `anything.settings.NAME`."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Attribute(value=ast.Name("settings") | ast.Attribute(attr="settings"), attr=name):
                yield name


def made_of(name: str) -> Iterator[str]:
    """The settings that a property of `Settings` is made of. A setting is made of itself."""
    if name in Settings.model_fields:
        yield name
        return
    for node in ast.walk(ast.parse(SETTINGS.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            for inner in ast.walk(node):
                match inner:
                    case ast.Attribute(value=ast.Name("self"), attr=part):
                        yield from made_of(part)


def acted_on() -> set[str]:
    """Settings that some module of the daemon reads."""
    modules = [file for file in ROOM.rglob("*.py") if file not in {SETTINGS, SHOWN}]
    return {setting for file in modules for name in read_from(file) for setting in made_of(name)}


def test_a_setting_is_acted_on_or_is_on_the_list_and_never_both() -> None:
    assert set(Settings.model_fields) - acted_on() == set(WITHOUT_EFFECT)


def test_the_table_of_settings_says_of_each_on_the_list_that_nothing_acts_on_it() -> None:
    silent = {
        name
        for name, field in Settings.model_fields.items()
        if (field.description or "").endswith("Nothing acts on it yet.")
    }
    assert silent == set(WITHOUT_EFFECT) == set(VALUES)


def test_each_that_is_given_is_warned_of_by_name_and_never_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VALUES.items():
        monkeypatch.setenv(f"RESETD_{name.upper()}", value)
    with capture_logs() as logs:
        warn_of_what_has_no_effect(load(), load_catalog().catalog)
    assert logs == [
        {
            "event": "settings.without-effect",
            "log_level": "warning",
            "setting": f"RESETD_{name.upper()}",
            "detail": "nothing acts on it yet, so no new reset starts",
        }
        for name in WITHOUT_EFFECT
    ]


def test_one_that_is_given_is_given_and_an_empty_one_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RESETD_OIDC_AUDIENCE", "resetd-of-example")
    monkeypatch.setenv("RESETD_OIDC_ROLES_CLAIM", "")
    assert given_without_effect(load()) == ("RESETD_OIDC_AUDIENCE",)


def test_what_is_acted_on_is_not_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESETD_LEASE_TTL", "9s")
    with capture_logs() as logs:
        warn_of_what_has_no_effect(load(), load_catalog().catalog)
    assert logs == []
