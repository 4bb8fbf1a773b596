"""An engine whose wipes quiesce, and what its tests look at."""

from __future__ import annotations

from daemon.engine.high_water import HighWater
from daemon.engine.sweepers.quiesced import QuiesceSweeper
from schemas.quiescing import APPLICATION, ObjectRef
from schemas.requests import Mode
from tests.memory.processes import Process
from tests.unit.engine.drives.stand import ENVIRONMENT, SERVICE, Engine, catalog

DEPLOYMENT = ObjectRef(environment=ENVIRONMENT, kind="Deployment", name=SERVICE)
SYNC = ObjectRef(environment=ENVIRONMENT, kind=APPLICATION, name=ENVIRONMENT)


def quiescing_engine() -> Engine:
    engine = Engine(catalog(quiesce=[Mode.WIPE]))
    engine.quiescing.add_application(ENVIRONMENT)
    return engine


def replicas(engine: Engine) -> int:
    service = engine.pods.service(ENVIRONMENT, SERVICE)
    assert service is not None
    return service.replicas


class Breaks:
    """A program that fails until it is mended, and sees how many pods its service asks for."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.mended = False
        self.seen: list[int] = []

    async def __call__(self, _: Process) -> int:
        self.seen.append(replicas(self.engine))
        return 0 if self.mended else 1


async def sweep(engine: Engine) -> None:
    high_water = HighWater(engine.store, engine.marks, engine.clock)
    await QuiesceSweeper(engine.quiescing, engine.store, engine.clock, high_water).sweep()


async def says_nothing(_: Process) -> int:
    return 0
