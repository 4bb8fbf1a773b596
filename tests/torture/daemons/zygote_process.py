"""The zygote's process: it imports all that `resetd serve` imports, and forks a daemon for each line that asks for one.

`python -m tests.torture.daemons.zygote_process` reads JSON lines and answers each with one:

    {"start": {"environment": {...}, "log": PATH}}   ->  {"pid": N}
    {"reap": PID}                                    ->  {"status": null while it runs, else its wait status}

A child stays a zombie until it is reaped, so an answered pid names that child and no other process. The zygote has one
thread and no event loop, and has drawn no random number, so its children share nothing of these.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import random
import signal
import sys
import threading
from typing import Any, NoReturn

from daemon.bootstrap import serve
from daemon.config.logging import set_up
from daemon.config.settings import load
from tests.torture.daemons import defects, failpoints

# Modules that a daemon imports late in its start, and by name.
_LATE = (
    "aiosqlite",
    "psycopg",
    "uvicorn.lifespan.off",
    "uvicorn.protocols.http.h11_impl",
    "uvicorn.protocols.websockets.auto",
)


def main() -> None:
    """Answer lines until standard input ends; then kill every child."""
    children: set[int] = set()
    for name in _LATE:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    sys.stdout.write('{"ready": true}\n')
    sys.stdout.flush()
    for line in sys.stdin:
        asked = json.loads(line)
        answer = _start(asked["start"], children) if "start" in asked else _reap(asked["reap"], children)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _start(asked: dict[str, Any], children: set[int]) -> dict[str, int]:
    if threading.active_count() != 1:
        raise RuntimeError("the zygote has threads: its children would hold locks that nobody lets go")
    pid = os.fork()
    if pid == 0:
        _be_the_daemon(asked["environment"], asked["log"])
    children.add(pid)
    return {"pid": pid}


def _reap(pid: int, children: set[int]) -> dict[str, int | None]:
    found, status = os.waitpid(pid, os.WNOHANG)
    if not found:
        return {"status": None}
    children.discard(pid)
    return {"status": status}


def _be_the_daemon(environment: dict[str, str], log: str) -> NoReturn:
    """Do what `resetd serve` does, in a child; never returns."""
    code = 1
    try:
        with open(log, "ab", buffering=0) as file, open(os.devnull, "rb") as nothing:  # noqa: PTH123
            os.dup2(nothing.fileno(), 0)
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.environ.clear()
        os.environ.update(environment)
        random.seed()
        settings = load()
        set_up(settings.log_format, settings.log_level)
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        defects.apply(environment.get(defects.VARIABLE))
        asyncio.run(serve(settings, store_as=failpoints.from_environment(environment)))
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it was, it goes into the daemon's log
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
