"""Changes of a reset and its parts name fields that exist: `model_copy` itself drops a misspelt one silently."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

import schemas
from schemas.resets import Reset
from statemachines.commits import LEASE_HOLDER_FIELDS
from statemachines.reset_update import UPDATED_FIELDS

ROOT = Path(schemas.__file__).parents[1]
OF_THE_COMMIT = {"state", "sequence", "updated_at", "stops"}
"""Fields that follow from a commit itself: its trigger, its statuses, its time, whether it stops the reset."""


def models() -> list[type[BaseModel]]:
    """Every model of `schemas`."""
    names = [found.name for found in pkgutil.walk_packages(schemas.__path__, "schemas.")]
    for name in names:
        importlib.import_module(name)
    pending, found = [BaseModel], []
    while pending:
        for child in pending.pop().__subclasses__():
            pending.append(child)
            if child.__module__.startswith("schemas."):
                found.append(child)
    return found


def copies() -> Iterator[tuple[str, frozenset[str]]]:
    """Each `model_copy(update={...})` of the product: where it is, and the fields that it names."""
    for package in ("daemon", "statemachines", "schemas"):
        for file in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "model_copy":
                    [update] = [word.value for word in node.keywords if word.arg == "update"]
                    if isinstance(update, ast.Dict):
                        names = {key.value for key in update.keys if isinstance(key, ast.Constant)}
                        where = f"{file.relative_to(ROOT)}:{node.lineno}"
                        yield where, frozenset(str(name) for name in names)


def test_copies_are_found_at_all() -> None:
    assert len(list(copies())) > 10


def test_every_field_that_a_copy_changes_is_a_field_of_one_model() -> None:
    fields = [set(model.model_fields) for model in models()]
    assert [where for where, names in copies() if not any(names <= known for known in fields)] == []


def test_an_update_has_exactly_the_fields_that_a_lease_holder_sets() -> None:
    assert set(UPDATED_FIELDS) == set(LEASE_HOLDER_FIELDS) - OF_THE_COMMIT
    assert set(UPDATED_FIELDS) < set(Reset.model_fields)
