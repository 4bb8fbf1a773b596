"""`node dist/main.js`: the service itself. It is ready as soon as it runs, and stays until SIGTERM."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path
from typing import NoReturn

_VERSION = "v20.19.5"
_TERMINATED = 143
_SESSIONS: list[object] = []  # open as long as the service runs

NOT_GENERATED = (
    'Error: @prisma/client did not initialize yet. Please run "prisma generate" and try to import it again.'
)


def main(arguments: list[str]) -> int:
    """Serve, and touch SANDBOX_READY_FILE once that has begun. SIGTERM ends the service at once with 143."""
    if arguments[:1] in (["--version"], ["-v"]):
        sys.stdout.write(f"{_VERSION}\n")
        return 0
    script = Path(arguments[0]) if arguments else None
    if script is None or not (script.is_file() or script.with_suffix(".js").is_file()):
        where = Path.cwd() / (script or "")
        sys.stderr.write(
            "node:internal/modules/cjs/loader:1215\n  throw err;\n  ^\n\n"
            f"Error: Cannot find module '{where}'\n\nNode.js {_VERSION}\n"
        )
        return 1
    missing = missing_client(Path.cwd())
    if missing:
        sys.stderr.write(
            f"{NOT_GENERATED}\n    at new PrismaClient ({missing}/default.js:43:11)\n\nNode.js {_VERSION}\n"
        )
        return 1
    signal.signal(signal.SIGTERM, _leave)
    _SESSIONS.extend(_sessions(int(os.environ.get("SANDBOX_SESSIONS", "0"))))
    sys.stdout.write("[Nest] LOG [NestApplication] Nest application successfully started\n")
    ready = os.environ.get("SANDBOX_READY_FILE")
    if ready:
        Path(ready).touch()
    while True:
        signal.pause()


def missing_client(directory: Path, schemas: list[str] | None = None) -> Path | None:
    """The first missing generated client, of `schemas` or of all schemas of the service; None: none is missing."""
    found = (
        [directory / schema for schema in schemas]
        if schemas
        else sorted(directory.glob("prisma*/schema.prisma"))
    )
    for schema in found:
        output = client_directory(schema)
        if not (output / "index.js").is_file():
            return output
    return None


def client_directory(schema: Path) -> Path:
    """Where `prisma generate` puts a schema's client: its `output`, else `node_modules/.prisma/client`."""
    named = re.search(r'^\s*output\s*=\s*"([^"]+)"', schema.read_text(), re.MULTILINE)
    if named:
        return Path(os.path.normpath(schema.parent / named[1]))
    return schema.parent.parent / "node_modules" / ".prisma" / "client"


def _sessions(count: int) -> list[object]:
    """Open idle sessions on each of the service's databases, as a service's connection pool does.

    `SANDBOX_SESSIONS` says how many. The default is none, because each session costs its pod 20 MB and 0.2 s.
    """
    if not count:
        return []
    import psycopg2
    from psycopg2.extensions import set_wait_callback

    from sandbox.services.standins.database import wait

    set_wait_callback(wait)  # else `_leave` would not run before the database has answered
    name = os.environ["SANDBOX_SERVICE"]
    urls = [value for key, value in sorted(os.environ.items()) if key.endswith("DATABASE_URL")]
    return [
        psycopg2.connect(url.partition("?")[0], application_name=name) for url in urls for _ in range(count)
    ]


def _leave(*_: object) -> NoReturn:
    raise SystemExit(_TERMINATED)
