"""The same ten steps in DBOS, a durable-execution library: workflows side by side, each step's outcome durable.

DBOS records the outcome only (a step that is killed midway runs again), so that a step is one commit there and two
here. What a workflow writes at its start and end is outside of the time that is measured.
"""

from __future__ import annotations

import asyncio
import sqlite3
from time import perf_counter

from dbos import DBOS, DBOSConfig

from benchmarks.flow import STEPS

_begin: asyncio.Event
_ready: asyncio.Semaphore
_last: list[float] = []


@DBOS.step()
async def _step(name: str) -> dict[str, object]:
    return {"kind": "succeeded", "exitCode": 0, "step": name}


@DBOS.workflow()
async def _ten_steps() -> None:
    _ready.release()
    await _begin.wait()
    for name in STEPS:
        await _step(name)
    _last.append(perf_counter())


def steps_a_second(url: str, workflows: int, seconds: float) -> float:
    """Durable steps each second with that many workflows running, in a database of its own."""
    if url.startswith("sqlite"):
        # As the store's file: DBOS itself leaves the rollback journal, which costs it more fsyncs.
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
    return asyncio.run(_measure(url, workflows, seconds))


async def _measure(url: str, workflows: int, seconds: float) -> float:
    config = DBOSConfig(name="bench", system_database_url=url, log_level="ERROR", console_log_level="ERROR")
    DBOS(config=config)
    DBOS.launch()
    try:
        steps, spent = 0, 0.0
        while spent < seconds:
            spent += await _flow(workflows)
            steps += workflows * len(STEPS)
        return steps / spent
    finally:
        DBOS.destroy()


async def _flow(workflows: int) -> float:
    """Seconds from the first step of the first workflow to the last step of the last one."""
    # Shared by the module: a workflow's arguments have to be serialisable.
    global _begin, _ready
    _begin, _ready = asyncio.Event(), asyncio.Semaphore(0)
    _last.clear()
    handles = [await DBOS.start_workflow_async(_ten_steps) for _ in range(workflows)]
    for _ in handles:
        await _ready.acquire()
    began = perf_counter()
    _begin.set()
    for handle in handles:
        await handle.get_result()
    return max(_last) - began
