"""Reads a catalog file. Every error says file, line and field, so that it can be mended without reading code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from schemas.catalog import Catalog
from statemachines.canonical import digest

SHIPPED = "fuse-platform.yaml"


@dataclass(frozen=True)
class LoadedCatalog:
    """A valid catalog, and the name under which plans refer to it."""

    catalog: Catalog
    id: str
    """Name and digest of its meaning, `fuse-platform@sha256:...`: comments and spelling do not change it."""
    file: str


@dataclass(frozen=True)
class Flaw:
    """One thing that is wrong. `line` counts from 1."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}"
        return f"{where}: {self.field}: {self.message}" if self.field else f"{where}: {self.message}"


class CatalogError(ValueError):
    """A catalog file that can't be used; `flaws` is never empty."""

    def __init__(self, flaws: Sequence[Flaw]) -> None:
        super().__init__("\n".join(str(flaw) for flaw in flaws))
        self.flaws = tuple(flaws)


def load_catalog(path: Path | None = None) -> LoadedCatalog:
    """Read and validate a catalog; None: the one that is shipped.

    Raises:
        CatalogError: it can't be read, is no YAML, or is no catalog.
    """
    source = files("daemon.catalogs").joinpath(SHIPPED) if path is None else path
    name = SHIPPED if path is None else str(path)
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise CatalogError([Flaw(name, 1, "", f"can't be read: {reason}")]) from error
    return parse_catalog(text, name)


def parse_catalog(text: str, file: str) -> LoadedCatalog:
    """The same for a text; `file` is for errors.

    Raises:
        CatalogError: as `load_catalog`.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        flaws = _duplicates(root, file)
        if flaws:
            raise CatalogError(flaws)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "not YAML"
        line = mark.line + 1 if mark is not None else 1
        raise CatalogError([Flaw(file, line, "", str(problem))]) from error
    try:
        catalog = Catalog.model_validate(data)
    except ValidationError as error:
        raise CatalogError([_flaw(one["loc"], one["msg"], root, file) for one in error.errors()]) from error
    meaning = catalog.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return LoadedCatalog(catalog=catalog, id=f"{catalog.name}@{digest(meaning)}", file=file)


def _flaw(loc: tuple[int | str, ...], message: str, root: yaml.Node | None, file: str) -> Flaw:
    """Where a field is: the deepest part of its path that the file has."""
    node = root
    line = 1
    for part in loc:
        key, value = _child(node, part)
        if value is None:
            break
        line = (key or value).start_mark.line + 1
        node = value
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
    return Flaw(file, line, field, message.removeprefix("Value error, "))


def _child(node: yaml.Node | None, part: int | str) -> tuple[yaml.Node | None, yaml.Node | None]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return None, node.value[part]
    return None, None


def _duplicates(node: yaml.Node | None, file: str) -> list[Flaw]:
    """YAML loaders keep the last of two equal keys and say nothing: a step would vanish."""
    found: list[Flaw] = []
    if isinstance(node, yaml.MappingNode):
        seen: set[Any] = set()
        for key, value in node.value:
            if key.value in seen:
                found.append(Flaw(file, key.start_mark.line + 1, key.value, "given twice"))
            seen.add(key.value)
            found += _duplicates(value, file)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            found += _duplicates(item, file)
    return found
