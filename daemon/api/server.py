"""Serves the API in the event loop of the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import structlog
import uvicorn
from fastapi import FastAPI

from daemon.api.connections import BoundedConnection

log = structlog.get_logger()


class _Server(uvicorn.Server):
    """Uvicorn's server, without its signal handlers: the daemon handles signals for all of its loops."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """Bind the API's socket; it closes with the block. Port 0 binds a free port, which the log names.

    Raises:
        OSError: the address can't be bound.
    """
    # Uvicorn would end the process where the address is taken; this raises instead.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=128) as listening:
        address, bound = listening.getsockname()[:2]
        log.info("api.listening", host=address, port=bound)
        yield listening


async def serve_api(app: FastAPI, listening: socket.socket) -> None:
    """Serve until cancelled. Open requests then have two seconds to end."""
    config = uvicorn.Config(
        app,
        http=BoundedConnection,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
        server_header=False,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]), name="uvicorn")
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await serving
        raise
