"""A stand-in's side of the journal: it tells what was launched, waits until that is written, and tells how it ended.

A container must have the variables SANDBOX_JOURNAL (the socket), SANDBOX_NAMESPACE, SANDBOX_POD, SANDBOX_CONTAINER_ID
and SANDBOX_SERVICE. RESETD_ATTEMPT is the daemon's marker. Nested commands inherit SANDBOX_JOURNAL_PARENT (`id:depth`),
SANDBOX_START_SCRIPT, and PGAPPNAME, by which PostgreSQL knows the launch.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import NoReturn

PARENT = "SANDBOX_JOURNAL_PARENT"
START_SCRIPT = "SANDBOX_START_SCRIPT"
REFUSED = 97
START_SCRIPTS = ("prod", "start:prod")
_START_COMMANDS = [["npm", "run", name] for name in START_SCRIPTS]


def run(program: str, main: Callable[[list[str]], int]) -> NoReturn:
    """Be `program`: tell the journal, run `main` with the arguments, tell the journal the exit code, and exit with it.

    When the journal can't be reached, it does nothing and exits with `REFUSED`. When a signal kills it, the journal
    sees the connection close.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", line_buffering=True)  # type: ignore[union-attr]
    arguments = sys.argv[1:]
    try:
        connection = _announce([program, *arguments])
    except (OSError, KeyError, ValueError) as error:
        sys.stderr.write(f"sandbox: the journal can't be reached ({error!r}): {program} refuses\n")
        os._exit(REFUSED)
    code = 1
    try:
        code = main(arguments)
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except BaseException:  # noqa: BLE001 - whatever it was, it is printed and the journal hears of the end
        sys.excepthook(*sys.exc_info())
    _finish(connection, code)


def _announce(argv: list[str]) -> socket.socket:
    environ = os.environ
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(60)
    connection.connect(environ["SANDBOX_JOURNAL"])
    parent, _, depth = environ.get(PARENT, ":0").partition(":")
    launch = {
        "namespace": environ["SANDBOX_NAMESPACE"],
        "pod": environ["SANDBOX_POD"],
        "containerId": environ["SANDBOX_CONTAINER_ID"],
        "service": environ["SANDBOX_SERVICE"],
        "argv": argv,
        "cwd": os.getcwd(),  # noqa: PTH109 - pathlib costs a millisecond that each launch would pay
        "attempt": environ.get("RESETD_ATTEMPT"),
        "startScript": START_SCRIPT in environ or argv[:3] in _START_COMMANDS,
        "pid": os.getpid(),
        "depth": int(depth) + 1,
        "parent": int(parent) if parent else None,
    }
    connection.sendall(json.dumps(launch).encode() + b"\n")
    answer = b""
    while not answer.endswith(b"\n"):
        chunk = connection.recv(256)
        if not chunk:
            raise ConnectionError("closed before it acknowledged")
        answer += chunk
    number = json.loads(answer)["id"]
    environ[PARENT] = f"{number}:{launch['depth']}"
    # The database server writes this name into its log, which then shows the launch that opened each session.
    environ["PGAPPNAME"] = f"launch {number}"
    return connection


def _finish(connection: socket.socket, code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # nobody reads the output any more, as with the real programs
            stream.flush()
    with contextlib.suppress(OSError):
        connection.sendall(b'{"exitCode": %d}\n' % (code if code >= 0 else 128 - code))
        connection.close()
    if code < 0:  # a program whose child died of a signal dies of it, too
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
        code = 128 - code  # process 1 of a namespace survives its own signal
    os._exit(code)
