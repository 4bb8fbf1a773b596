"""Reads and validates the catalog file, and gives it the name under which plans refer to it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from pydantic import TypeAdapter

from daemon.config.yaml_documents import DocumentError, parse_document, read_document
from schemas.catalog.catalog import Catalog
from statemachines.canonical_json import digest

SHIPPED = "fuse-platform.yaml"
_SHAPE = TypeAdapter(Catalog)


@dataclass(frozen=True)
class LoadedCatalog:
    """A valid catalog, and the name under which plans refer to it."""

    catalog: Catalog
    id: str
    """Name and digest, `fuse-platform@sha256:...`. Comments and layout do not change the digest."""
    file: str


class CatalogError(DocumentError):
    """A catalog file that can't be used."""


def load_catalog(path: Path | None = None) -> LoadedCatalog:
    """Read and validate the catalog file in `path`; None: the one that is shipped.

    Raises:
        CatalogError: the file can't be read, is no YAML, or is no catalog.
    """
    source = files("daemon.config.catalogs").joinpath(SHIPPED) if path is None else path
    try:
        catalog = read_document(source, _SHAPE)
    except DocumentError as error:
        raise CatalogError(error.flaws) from error.__cause__
    return _loaded(catalog, SHIPPED if path is None else str(path))


def parse_catalog(text: str, file: str) -> LoadedCatalog:
    """Validate the text of a catalog. Errors name it `file`.

    Raises:
        CatalogError: as `load_catalog`.
    """
    try:
        return _loaded(parse_document(text, _SHAPE, file=file), file)
    except DocumentError as error:
        raise CatalogError(error.flaws) from error.__cause__


def _loaded(catalog: Catalog, file: str) -> LoadedCatalog:
    meaning = catalog.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return LoadedCatalog(catalog=catalog, id=f"{catalog.name}@{digest(meaning)}", file=file)
