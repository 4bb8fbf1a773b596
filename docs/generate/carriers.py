"""Everything that can carry a line of the guide, as it is in the tree: catalog entries, rules, warnings, functions."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from daemon.config.catalog_file import load_catalog
from schemas.catalog.catalog import Catalog
from statemachines.planning.rules import REQUEST_RULES, WORLD_RULES
from statemachines.planning.warnings import WARNINGS


def known_carriers() -> frozenset[str]:
    """Names of everything in catalog, rules and warnings that can be named as a carrier."""
    catalog = load_catalog().catalog
    names = {f"rule:{rule.__name__}" for rule in (*REQUEST_RULES, *WORLD_RULES)}
    names |= {f"warning:{warn.__name__}" for warn in WARNINGS}
    names |= {f"catalog:{field}" for field in Catalog.model_fields}
    names |= {f"check:{check.value}" for check in catalog.doctor.checks}
    for service in catalog.services:
        names |= {f"doctor:{service.name}/{command.name}" for command in service.doctor}
        names |= {f"verify:{'/'.join(filter(None, (service.name, check.name)))}" for check in service.verify}
        names |= {f"database:{service.name}/{database.name}" for database in service.databases}
        names |= {f"failures:{name}" for name in catalog.failures}
    return frozenset({*names, *(name for found in steps_by_text().values() for name, _ in found)})


@cache
def steps_by_text() -> dict[str, tuple[tuple[str, str], ...]]:
    """Shell text -> (carrier, service) of each step of the catalog that runs exactly that."""
    found: dict[str, list[tuple[str, str]]] = {}
    for service in load_catalog().catalog.in_order:
        for mode, entries in service.steps.items():
            for entry in entries:
                name = f"{entry.phase.value}.{entry.target or service.name}.{entry.name}"
                carrier = (f"step:{service.name}/{mode.value}/{name}", service.name)
                carriers = found.setdefault(entry.argv[-1] if entry.for_each is None else entry.argv[2], [])
                if carrier not in carriers:
                    carriers.append(carrier)
    return {text: tuple(carriers) for text, carriers in found.items()}


def defines(root: Path, reference: str) -> bool:
    """Whether `path/to/file.py::name` is a function, method or class in the tree."""
    path, _, name = reference.partition("::")
    return name in _defined(root / path)


@cache
def _defined(file: Path) -> frozenset[str]:
    if not file.is_file():
        return frozenset()
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))
