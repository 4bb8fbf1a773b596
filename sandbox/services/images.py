"""Builds the images of the services: package, migrations, seeds, and the programs.

`bin/` (npm, npx, node) goes on the container's PATH. The programs that a real image has in `node_modules/.bin` are
there, too, where only npm and npx find them. Each container needs a copy of its own: `prisma generate` writes into it.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from sandbox.fleet import SERVICES
from sandbox.services.standins.node import client_directory

_SOURCES = Path(__file__).parent / "sources"
_SHEBANG_LIMIT = 127

_ON_PATH = {"npm": "npm:main", "npx": "npx:main", "node": "node:main"}
_OF_PACKAGES = {
    "prisma": "prisma.cli:main",
    "typeorm": "typeorm.cli:main",
    "ts-node": "seeding.cli:ts_node",
    "tsx": "seeding.cli:tsx",
    "cross-env": "runners:cross_env",
    "run-p": "runners:run_p",
    "nest": "runners:nest",
}
_PACKAGES = {
    "data-builder-api": ("prisma", "tsx", "run-p", "nest"),
    "los-core-api": ("prisma", "ts-node"),
    "los-integrations": ("prisma", "ts-node"),
    "sequence-builder-api": ("prisma", "ts-node"),
    "ui-builder-api": ("prisma", "ts-node"),
    "workflow-api": ("typeorm", "ts-node", "cross-env"),
}


def build(directory: Path) -> dict[str, Path]:
    """Make one image directory for each service below `directory`; returns them by service.

    A container's working directory is a copy of its image, and its PATH begins with that copy's `bin`.
    """
    images = {}
    for service in SERVICES:
        image = images[service] = directory / service
        shutil.copytree(_SOURCES / service, image)
        _programs(image / "bin", _ON_PATH)
        _programs(image / "node_modules" / ".bin", {name: _OF_PACKAGES[name] for name in _PACKAGES[service]})
        entry = image / ("dist/src/main.js" if service == "sequence-builder-api" else "dist/main.js")
        if service == "data-builder-api":
            # The core schema and its migrations are those of los-core-api.
            _share_core(image)
            continue  # in each container `npm run build` makes its entry, and `db:sync-model` its clients
        entry.parent.mkdir(parents=True)
        entry.write_text('require("./app");\n')
        for schema in image.glob("prisma/schema.prisma"):
            client = client_directory(schema)  # `npm ci` generates it when an image is built
            client.mkdir(parents=True)
            (client / "index.js").write_text("// @prisma/client, generated\n")
    return images


@contextmanager
def without_migrations(image: Path) -> Iterator[None]:
    """Take every directory of migrations out of an image, for the containers that are started in the block."""
    found = [one for one in image.rglob("migrations") if "node_modules" not in one.parts]
    for directory in found:
        directory.rename(directory.with_name("taken-out"))
    try:
        yield
    finally:
        for directory in found:
            directory.with_name("taken-out").rename(directory)


@contextmanager
def with_file(image: Path, name: str, text: str | None) -> Iterator[None]:
    """Give an image another text in one of its files, or none of that file (None), for containers of the block."""
    file = image / name
    before = file.read_text() if file.exists() else None
    _put(file, text)
    try:
        yield
    finally:
        _put(file, before)


def _put(file: Path, text: str | None) -> None:
    if text is None:
        file.unlink(missing_ok=True)
    else:
        file.write_text(text)


def _share_core(image: Path) -> None:
    core = image / "prisma-core"
    shutil.copytree(_SOURCES / "los-core-api" / "prisma", core)
    schema = core / "schema.prisma"
    text = schema.read_text().replace('env("DATABASE_URL")', 'env("CORE_DATABASE_URL")')
    generator = 'provider = "prisma-client-js"'
    output = f'{generator}\n  output   = "../node_modules/.prisma/core-client"'
    schema.write_text(text.replace(generator, output))


def _programs(directory: Path, programs: dict[str, str]) -> None:
    directory.mkdir(parents=True)
    # Each launch would pay for Python's `site`: `-S` leaves it out, and a program is told where its imports are.
    path = list(dict.fromkeys(_found_in(package) for package in ("sandbox", "psycopg2")))
    for name, target in programs.items():
        module, _, function = target.partition(":")
        body = (
            f"import sys\nsys.path += {path!r}\n"
            f"from sandbox.services.standins.{module} import {function}\n"
            "from sandbox.services.standins.witness import run\n"
            f'run("{name}", {function})\n'
        )
        shebang = f"#!{sys.executable} -IS\n"
        if len(shebang) > _SHEBANG_LIMIT:  # the kernel cuts a longer line: let a shell find the interpreter
            shebang = f"#!/bin/sh\n'''exec' '{sys.executable}' -IS \"$0\" \"$@\"\n' '''\n"
        file = directory / name
        file.write_text(shebang + body)
        file.chmod(0o755)


def _found_in(package: str) -> str:
    """The directory from which a package is imported."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None, f"{package} has no __init__.py"
    return str(Path(spec.origin).parents[1])
