"""The three services of the catalog in docs/extending.md, in memory, and the engine that resets them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from daemon.config.catalog_file import parse_catalog
from schemas.catalog.catalog import Service
from schemas.intake import NewRequest
from schemas.requests import Mode, Option, ResetRequested
from schemas.resets import Channel
from schemas.wire import StepName
from statemachines.intake.content_hash import content_hash
from tests.memory.databases import MemoryDatabase
from tests.memory.processes import Process, sent_nonce
from tests.unit.docs.extending.page import block
from tests.unit.engine.drives.stand import ENVIRONMENT, Engine

LOADED = parse_catalog(block("bazaar"), "bazaar.yaml")
SEEDS = StepName("seed.billing.seeds")
ROLLBACK = StepName("migrate.ledger.rollback")
MIGRATIONS = ("1_first.sql", "2_second.sql", "3_third.sql")
URLS = {name: f"postgresql://app:secret@db:5432/{name}-sandbox" for name in ("shop", "billing", "ledger")}
VARIABLES: Mapping[str, Mapping[str, str]] = {
    "shop": {
        "POSTGRES_HOST": "db",
        "POSTGRES_PORT": "5432",
        "POSTGRES_USER": "app",
        "POSTGRES_PASSWORD": "secret",
        "POSTGRES_DB": "shop-sandbox",
    },
    "billing": {"DATABASE_URL": URLS["billing"]},
    "ledger": {"LEDGER_DATABASE_URL": URLS["ledger"]},
}

Tool = Callable[[MemoryDatabase, Process], int]
"""What a command does with the database of its service; answers the exit code."""


def keep_rows(*rows: str) -> Tool:
    """Write rows that are not there yet."""

    def run(database: MemoryDatabase, _process: Process) -> int:
        database.tables["rows"] += [row for row in rows if row not in database.tables["rows"]]
        if "seeds" in rows:
            database.tables["setups"] = ["seeds"]
        return 0

    return run


def migrate(database: MemoryDatabase, _process: Process) -> int:
    database.tables["schema_migrations"] = list(MIGRATIONS)
    return 0


def empty(database: MemoryDatabase, process: Process) -> int:
    database.tables["rows"] = []
    return migrate(database, process)


def roll_back(database: MemoryDatabase, process: Process) -> int:
    if not database.tables["schema_migrations"]:
        process.write(b"Error: can't rollback: no migrations have been applied\n")
        return 0
    process.write(f"Rolled back: {database.tables['schema_migrations'].pop()}\n".encode())
    database.tables["rows"] = []
    return 0


def show(applied: str, pending: str, *, code: int) -> Tool:
    """List the migrations; `code` is the exit code where one is pending."""

    def run(database: MemoryDatabase, process: Process) -> int:
        left = [name for name in MIGRATIONS if name not in database.tables["schema_migrations"]]
        for name in MIGRATIONS:
            process.write(f"{pending if name in left else applied} {name}\n".encode())
        return code if left else 0

    return run


def look_for_seeds(database: MemoryDatabase, process: Process) -> int:
    """The Ruby of the check: one exit code where the row is there, another one where it is not."""
    there, not_there = re.findall(r"\? (\d+) : (\d+)", process.argv[-1])[0]
    return int(there if "seeds" in database.tables["rows"] else not_there)


def list_migrations(_database: MemoryDatabase, process: Process) -> int:
    """What the daemon asks an image for its directory of migrations."""
    process.write("".join(f"{name}\n" for name in MIGRATIONS).encode())
    return 0


TOOLS: Mapping[str, Tool] = {
    "for one in": list_migrations,
    "manage.py migrate --check": show("[X]", "[ ]", code=1),
    "manage.py migrate": migrate,
    "manage.py flush": empty,
    "manage.py loaddata base": keep_rows("product"),
    "manage.py loaddata demo": keep_rows("demo"),
    "db:schema:load": empty,
    "db:migrate:status": show("   up  ", "  down ", code=0),
    "db:migrate": migrate,
    "db:seed": keep_rows("plan", "seeds"),
    "Setup.exists?": look_for_seeds,
    "dbmate --env LEDGER_DATABASE_URL --no-dump-schema rollback": roll_back,
    "dbmate --env LEDGER_DATABASE_URL --no-dump-schema up": migrate,
    "dbmate --env LEDGER_DATABASE_URL status --exit-code": show("[X]", "[ ]", code=1),
    "dbmate --env LEDGER_DATABASE_URL status": show("[X]", "[ ]", code=0),
    "db/accounts.sql": keep_rows("account"),
}
"""A part of a command's text -> what it does. The first one that matches counts."""


def listed() -> dict[str, list[str]]:
    """The page's list of steps for each mode."""
    found: dict[str, list[str]] = {}
    for line in block("plans").splitlines():
        if line.startswith(" "):
            found[list(found)[-1]].append(line.strip())
        else:
            found[line] = []
    return found


class Bazaar(Engine):
    """Three services with a database each, and the engine."""

    def __init__(self) -> None:
        super().__init__(LOADED)
        self.tools = dict(TOOLS)
        """What commands do; a test may put others in their place."""
        self.misled_to: MemoryDatabase | None = None
        """Where all tools lead, whatever the variables say."""
        self.used = {
            name: self.databases.add(url, MemoryDatabase("7001", urlsplit(url).path[1:], contents()))
            for name, url in URLS.items()
        }
        for service in LOADED.catalog.services:
            self.pods.add(ENVIRONMENT, service.name, self._run, VARIABLES[service.name])

    async def ask_for(self, mode: Mode, *options: Option) -> None:
        """Ask for the reset in this mode."""
        request = ResetRequested(environment=ENVIRONMENT, requested_by="ann", mode=mode, options=options)
        new = NewRequest(
            id=self.id,
            request=request,
            channel=Channel.HTTP,
            source="/tests",
            event_id="one",
            content_hash=content_hash(request),
            trace_parent=None,
        )
        await self.store.admit(new, now=self.clock.now(), limit_waiting=3)

    def ran(self) -> list[StepName]:
        """The step of each command that really started, in order."""
        return [StepName(attempt.split("/")[1]) for attempt, _ in self.pods.launched]

    async def _run(self, process: Process) -> int:
        text = " ".join(process.argv)
        database = self._reached(process)
        if nonce := sent_nonce(process):
            database.notify(nonce)
            return 0
        return next(tool for part, tool in self.tools.items() if part in text)(database, process)

    def _reached(self, process: Process) -> MemoryDatabase:
        """The database that the variables of the process lead to, by the catalog."""
        urls = (_url(service, process.variables) for service in LOADED.catalog.services)
        return self.misled_to or self.databases.at(next(url for url in urls if url))


def contents() -> dict[str, list[str]]:
    """What a database that was used for a while has."""
    return {"schema_migrations": list(MIGRATIONS), "rows": ["dirt"]}


def _url(service: Service, variables: Mapping[str, str]) -> str | None:
    return service.databases[0].url(variables)
