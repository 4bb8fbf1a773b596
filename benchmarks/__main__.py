"""How fast the state database takes the engine's commits, beside what the disk allows in the same run: `make bench`.

Baseline: the standard library's `sqlite3` on one connection, one row of 1 KiB in each commit, WAL and synchronous=FULL
as the store sets them. Measured: `Held.commit` through the store on the same disk, each with an updated reset, step
and attempt, a line of history and a message in the outbox. Both are run alternately; the median is compared.
"""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from daemon.adapters.store import SqlStore, migrations, open_store
from daemon.clock import SystemClock
from daemon.held import Held
from daemon.identifiers import new_reset_id
from daemon.metrics import Metrics
from daemon.ports.store import NewRequest
from schemas.requests import ResetRequested
from schemas.resets import Attempt, Channel, Outcome, OutcomeKind, Step, StepState
from schemas.wire import StepName
from statemachines.requests import content_hash

ROUNDS = 3
SECONDS = 3.0
STEP = StepName("seed.los-core-api.system")


def raw(file: Path) -> float:
    """Commits each second of a plain connection."""
    connection = sqlite3.connect(file, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE record (id INTEGER PRIMARY KEY, body BLOB)")
    body, commits, began = bytes(1024), 0, perf_counter()
    while perf_counter() - began < SECONDS:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO record (body) VALUES (?)", (body,))
        connection.execute("COMMIT")
        commits += 1
    seconds = perf_counter() - began
    connection.close()
    return commits / seconds


async def stored(file: Path, resets: int) -> float:
    """The engine's commits each second with that many resets at work side by side."""
    url = f"sqlite:///{file}"
    await asyncio.to_thread(migrations.upgrade, url)
    async with open_store(url) as store:
        held = await _held(store, resets)
        began = perf_counter()
        commits = sum(await asyncio.gather(*(_work(one, began + SECONDS) for one in held)))
        return commits / (perf_counter() - began)


async def _held(store: SqlStore, resets: int) -> list[Held]:
    for number in range(resets):
        request = ResetRequested(environment=f"bench{number}-sandbox", requested_by="bench")
        new = NewRequest(
            id=new_reset_id(),
            request=request,
            channel=Channel.HTTP,
            source=None,
            event_id=None,
            content_hash=content_hash(request),
        )
        await store.admit(new, now=datetime.now(UTC), limit_waiting=3)
    claimed = await store.claim("bench", ttl=600, limit=resets, excluding=frozenset())
    return [Held(one, store, SystemClock(), Metrics()) for one in claimed]


async def _work(held: Held, until: float) -> int:
    """Attempts that start and end; two commits each."""
    commits = 0
    held.steps[STEP] = Step(name=STEP, index=0)
    while perf_counter() < until:
        now = datetime.now(UTC)
        number = held.steps[STEP].attempts + 1
        attempt = Attempt(
            id=held.attempt_id(STEP), reset_id=held.reset.id, step=STEP, number=number, started_at=now
        )
        step = Step(name=STEP, index=0, state=StepState.RUNNING, attempts=number)
        await held.commit(steps=[step], attempts=[attempt], step_event=(step, attempt))
        outcome = Outcome(kind=OutcomeKind.SUCCEEDED, exit_code=0)
        ended = attempt.model_copy(update={"outcome": outcome, "finished_at": now})
        step = step.model_copy(update={"state": StepState.SUCCEEDED, "outcome": outcome})
        await held.finished(step, ended)
        commits += 2
    return commits


def main() -> None:
    """Print the table. The files lie beside the state of a daemon started here: on the disk that counts."""
    var = Path("var")
    var.mkdir(exist_ok=True)
    measured: dict[str, Callable[[Path], float]] = {
        "raw SQLite, 1 KiB a commit": raw,
        "store, 1 reset": lambda file: asyncio.run(stored(file, 1)),
        "store, 50 resets": lambda file: asyncio.run(stored(file, 50)),
    }
    found: dict[str, list[float]] = {name: [] for name in measured}
    with tempfile.TemporaryDirectory(dir=var, prefix="bench-") as directory:
        for turn in range(ROUNDS):
            for place, (name, measure) in enumerate(measured.items()):
                found[name].append(measure(Path(directory, f"{turn}-{place}.sqlite3")))
    medians = {name: statistics.median(values) for name, values in found.items()}
    baseline = medians["raw SQLite, 1 KiB a commit"]
    print(f"{'':<28}{'commits/s':>10}{'ratio':>8}   lowest to highest of {ROUNDS}")
    for name, value in medians.items():
        low, high = min(found[name]), max(found[name])
        print(f"{name:<28}{value:>10.0f}{value / baseline:>8.2f}   {low:.0f} to {high:.0f}")


if __name__ == "__main__":
    main()
