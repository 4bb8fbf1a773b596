"""A platform whose one seed is compared with what earlier wipes taught of it."""

from __future__ import annotations

from typing import Any

from uuid_utils import uuid7

from daemon.config.catalog_file import LoadedCatalog
from schemas.requests import Mode
from schemas.resets import Reset
from schemas.wire import ResetId, StepName
from tests.unit.engine.drives.stand import Engine, catalog

CHECK = "learned.app"
VERIFY = StepName("verify.app.rows")


def learning(**step: Any) -> LoadedCatalog:  # noqa: ANN401 - YAML
    return catalog(checks=[{"learned": True}], database={"name": "app"}, **step)


async def next_reset(engine: Engine, mode: Mode = Mode.WIPE, **wanted: Any) -> Reset:  # noqa: ANN401 - of the request
    engine.id = ResetId(str(uuid7()))
    await engine.ask(mode, **wanted)
    return await engine.drive()
