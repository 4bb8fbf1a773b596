"""The stand-in's side of the journal: say what was launched, wait until it is written, say how it ended.

Environment that a container must have: SANDBOX_JOURNAL (the socket), SANDBOX_NAMESPACE, SANDBOX_POD,
SANDBOX_CONTAINER_ID, SANDBOX_SERVICE. RESETD_ATTEMPT is the daemon's marker. Passed down to nested commands:
SANDBOX_JOURNAL_PARENT (`id:depth`) and SANDBOX_START_SCRIPT; and PGAPPNAME, by which PostgreSQL knows the launch.
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
    """Be `program`: tell the journal, run `main` with the arguments, tell the journal the code, exit with it.

    Exits with `REFUSED` and does nothing when the journal can't be reached. Killed by a signal, it tells nothing:
    the journal sees the connection close.
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
    # The database server writes it into its own log: which launch opened a session in which database.
    environ["PGAPPNAME"] = f"launch {number}"
    return connection


def _finish(connection: socket.socket, code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # whoever read it is gone, as for the real programs
            stream.flush()
    with contextlib.suppress(OSError):
        connection.sendall(b'{"exitCode": %d}\n' % (code if code >= 0 else 128 - code))
        connection.close()
    if code < 0:  # a program whose child died by a signal dies by it too
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
        code = 128 - code  # process 1 of a namespace survives that
    os._exit(code)
