"""`python -m sandbox.github --directory DIR [--port N]`: the hub as a process, until SIGTERM or SIGINT.

Prints one line of JSON when it is ready: `{"url": ..., "owner": ..., "token": ...}`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from aiohttp import web

from sandbox.faults.armoury import Armoury
from sandbox.github import control, rest
from sandbox.github.access import access, faults, installation_token
from sandbox.github.faults import ArmedFaults
from sandbox.github.graphql import graphql
from sandbox.github.hub import OWNER, TOKEN, Hub


def application(hub: Hub, armoury: Armoury | None = None) -> web.Application:
    """Make the hub's web application; with an armoury it has the faults that are armed there."""
    armed = [ArmedFaults(armoury, hub).middleware] if armoury else []
    app = web.Application(middlewares=[faults, *armed, access])
    app[rest.HUB] = hub
    app.add_routes([*rest.ROUTES, *control.ROUTES, web.post("/graphql", graphql)])
    app.add_routes([web.post("/app/installations/{id}/access_tokens", installation_token)])
    return app


async def serve(
    directory: Path, port: int, *, while_stdin_open: bool = False, armoury: Armoury | None = None
) -> None:
    """Serve until a signal comes."""
    hub = Hub(directory)
    hub.seed()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if while_stdin_open:
        asyncio.get_running_loop().add_reader(sys.stdin, stop.set)
    runner = web.AppRunner(application(hub, armoury), access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    sys.stdout.write(json.dumps({"url": url, "owner": OWNER, "token": TOKEN}) + "\n")
    sys.stdout.flush()
    await stop.wait()
    await runner.cleanup()


def main() -> None:
    """Run the hub."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.github", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--while-stdin-open", action="store_true", help="end when standard input closes")
    parser.add_argument("--faults", type=Path, help="directory of the armed faults")
    arguments = parser.parse_args()
    armoury = Armoury(arguments.faults) if arguments.faults else None
    asyncio.run(
        serve(
            arguments.directory,
            arguments.port,
            while_stdin_open=arguments.while_stdin_open,
            armoury=armoury,
        )
    )


if __name__ == "__main__":
    main()
