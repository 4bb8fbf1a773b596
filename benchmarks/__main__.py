"""Durable steps a second, beside what the disk allows and beside DBOS, on both databases, in one run: `make bench`.

What is compared runs in turns on the same disk (and server) with the same durable settings; medians are compared.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg

from benchmarks import dbos_flow, flow, raw
from daemon.adapters.system import garbage_collector
from sandbox.postgres import server

ROUNDS = 5
SECONDS = 3.0
RESETS = 50
RAW_TARGET = 0.6
DBOS_TARGET = 3.0
DURABLE = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_wal_size": "1GB",
    "max_connections": "100",
}
RAW, ONE, STEPS, DBOS = (
    "raw commits",
    "steps, 1 reset",
    f"steps, {RESETS} resets",
    f"DBOS, {RESETS} workflows",
)

Measured = dict[str, Callable[[str, float], float]]
Databases = Callable[[str], str]
"""Makes an empty database of that name; answers its address."""


def compare(databases: Databases, raw_commits: Callable[[str, float], float]) -> dict[str, list[float]]:
    """Each measurement's rates, taken in turns, each in a database of its own."""
    measured: Measured = {
        RAW: raw_commits,
        ONE: lambda url, seconds: flow.steps_a_second(url, 1, seconds),
        STEPS: lambda url, seconds: flow.steps_a_second(url, RESETS, seconds),
        DBOS: lambda url, seconds: dbos_flow.steps_a_second(url, RESETS, seconds),
    }
    found: dict[str, list[float]] = {name: [] for name in measured}
    for turn in range(ROUNDS):
        for place, (name, measure) in enumerate(measured.items()):
            found[name].append(measure(databases(f"bench_{turn}_{place}"), SECONDS))
    return found


def report(title: str, found: dict[str, list[float]]) -> None:
    """Print medians, lowest to highest, and the ratios that count."""
    medians = {name: statistics.median(rates) for name, rates in found.items()}
    print(f"\n{title}\n{'':<22}{'a second':>10}   lowest to highest of {ROUNDS}")
    for name, rates in found.items():
        print(f"{name:<22}{medians[name]:>10.0f}   {min(rates):.0f} to {max(rates):.0f}")
    for other, target in ((RAW, RAW_TARGET), (DBOS, DBOS_TARGET)):
        ratio = medians[STEPS] / medians[other]
        verdict = "reached" if ratio >= target else "MISSED"
        print(f"{STEPS} / {other}: {ratio:.2f} (target {target}: {verdict})")


def _file(directory: Path, name: str) -> str:
    return f"sqlite:///{directory / name}.sqlite3"


def _database(running: server.Server, name: str) -> str:
    with psycopg.connect(running.superuser_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"{running.superuser_url.rpartition('/')[0]}/{name}"


@contextmanager
def _durable_server(directory: Path) -> Iterator[server.Server]:
    running = server.start(directory, "bench", DURABLE)
    try:
        yield running
    finally:
        running.discard()


def main() -> None:
    """Print the tables. The files lie beside the state of a daemon started here: on the disk that counts."""
    # As `resetd serve` does; what it is compared with runs in the same process and gains as much.
    garbage_collector.configure()
    var = Path("var").resolve()
    var.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=var, prefix="bench-") as name:
        directory = Path(name)
        found = compare(partial(_file, directory), raw.on_sqlite)
        report("SQLite (journal_mode=WAL, synchronous=FULL)", found)
        with _durable_server(directory) as running:
            found = compare(partial(_database, running), raw.on_postgresql)
        stated = ", ".join(
            f"{key}={DURABLE[key]}" for key in ("fsync", "synchronous_commit", "full_page_writes")
        )
        report(f"PostgreSQL ({stated})", found)


if __name__ == "__main__":
    main()
