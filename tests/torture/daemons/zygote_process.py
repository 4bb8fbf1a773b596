"""The zygote's process: it imports all that `resetd` imports, and forks a process for each line that asks for one.

`python -m tests.torture.daemons.zygote_process` reads JSON lines and answers each with one:

    {"start": {"environment": {...}, "log": PATH}}   ->  {"pid": N}, a daemon
    {"run": {"arguments": [...], "environment": {...}, "stdout": PATH, "stderr": PATH}}
                                                     ->  {"pid": N}, the command line
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
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from daemon.bootstrap import serve
from daemon.config.logging import set_up
from daemon.config.settings import load
from tests.torture.daemons import defects, failpoints

# Modules that a daemon imports late in its start, and by name.
_LATE = (
    "aiosqlite",
    "httpx",
    "psycopg",
    "typer",
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
        match asked:
            case {"start": what}:
                answer: dict[str, Any] = _fork(partial(_be_the_daemon, **what), children)
            case {"run": what}:
                answer = _fork(partial(_be_the_command_line, **what), children)
            case _:
                answer = _reap(asked["reap"], children)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _fork(be: Callable[[], None], children: set[int]) -> dict[str, int]:
    if threading.active_count() != 1:
        raise RuntimeError("the zygote has threads: its children would hold locks that nobody lets go")
    pid = os.fork()
    if pid == 0:
        _be(be)
    children.add(pid)
    return {"pid": pid}


def _reap(pid: int, children: set[int]) -> dict[str, int | None]:
    found, status = os.waitpid(pid, os.WNOHANG)
    if not found:
        return {"status": None}
    children.discard(pid)
    return {"status": status}


def _be(what: Callable[[], None]) -> NoReturn:
    """Be something in a child; never returns."""
    code = 1
    try:
        what()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - whatever it was, it is told where the child's errors go
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _be_the_daemon(environment: dict[str, str], log: str) -> None:
    """Do what `resetd serve` does."""
    _move(environment, log, log)
    settings = load()
    set_up(settings.log_format, settings.log_level)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    defects.apply(environment.get(defects.VARIABLE))
    asyncio.run(serve(settings, store_as=failpoints.from_environment(environment)))


def _be_the_command_line(arguments: list[str], environment: dict[str, str], stdout: str, stderr: str) -> None:
    """Do what `resetd ARGUMENTS` does. Its consoles are made at the import, of what the environment says."""
    _move(environment, stdout, stderr)
    sys.argv = ["resetd", *arguments]
    importlib.import_module("daemon.__main__").main()


def _move(environment: dict[str, str], stdout: str, stderr: str) -> None:
    """Give the child its own environment and output."""
    with (
        open(os.devnull, "rb") as nothing,  # noqa: PTH123
        open(stdout, "ab", buffering=0) as out,  # noqa: PTH123
        open(stderr, "ab", buffering=0) as err,  # noqa: PTH123
    ):
        for number, file in enumerate((nothing, out, err)):
            os.dup2(file.fileno(), number)
    os.environ.clear()
    os.environ.update(environment)
    random.seed()


if __name__ == "__main__":
    main()
