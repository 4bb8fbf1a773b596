"""Serves the API inside the daemon's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import structlog
import uvicorn
from fastapi import FastAPI

log = structlog.get_logger()


class _Server(uvicorn.Server):
    """The daemon handles signals for all of its loops; a server that took them would end alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """The API's socket, bound before anything else is started; port 0: a free one, told in the log.

    Raises:
        OSError: the address can't be bound.
    """
    # Uvicorn's own binding ends the process where the address is taken.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=128) as listening:
        address, bound = listening.getsockname()[:2]
        log.info("api.listening", host=address, port=bound)
        yield listening


async def serve_api(app: FastAPI, listening: socket.socket) -> None:
    """Until cancelled; then open requests get a moment to end."""
    config = uvicorn.Config(
        app,
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
