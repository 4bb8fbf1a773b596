"""A proxy in front of a cluster that cuts exec streams at a chosen moment: what load balancers do at any.

It speaks plain HTTP, passes everything on, and asks `cuts` of each message that the cluster sends through an exec.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web

Cuts = Callable[[Sequence[str], bytes], bool]
"""(command of the exec, message with its channel) -> whether to cut the stream instead of passing the message on."""

_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_HOP_BY_HOP = {"connection", "content-encoding", "content-length", "host", "transfer-encoding"}


class _Proxy:
    def __init__(self, target: str, session: aiohttp.ClientSession, cuts: Cuts) -> None:
        self._target = target
        self._session = session
        self._cuts = cuts

    async def handle(self, request: web.Request) -> web.StreamResponse:
        url = f"{self._target}{request.raw_path}"
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._exec(request, url)
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _HOP_BY_HOP}
        async with self._session.request(
            request.method, url, headers=headers, data=await request.read()
        ) as got:
            kept = {key: value for key, value in got.headers.items() if key.lower() not in _HOP_BY_HOP}
            return web.Response(status=got.status, body=await got.read(), headers=kept)

    async def _exec(self, request: web.Request, url: str) -> web.StreamResponse:
        headers = {"Authorization": request.headers["Authorization"]}
        async with self._session.ws_connect(url, protocols=_PROTOCOLS, headers=headers) as upstream:
            client = web.WebSocketResponse(protocols=_PROTOCOLS, compress=False)
            await client.prepare(request)
            sending = asyncio.create_task(_pass_on(client, upstream))
            try:
                command = request.query.getall("command")
                async for message in upstream:
                    if self._cuts(command, message.data):
                        assert request.transport is not None
                        request.transport.abort()
                        break
                    await client.send_bytes(message.data)
                else:
                    await client.close()
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
        return client


async def _pass_on(client: web.WebSocketResponse, upstream: aiohttp.ClientWebSocketResponse) -> None:
    async for message in client:
        await upstream.send_bytes(message.data)
    await upstream.close()


@asynccontextmanager
async def cutting(kubeconfig: str, directory: Path, cuts: Cuts) -> AsyncIterator[str]:
    """Run the proxy in this loop, and return the path of a kubeconfig that leads through it."""
    config = yaml.safe_load(await asyncio.to_thread(Path(kubeconfig).read_text))
    cluster = config["clusters"][0]["cluster"]
    unchecked = ssl._create_unverified_context()  # noqa: S323 - on loopback, with its own authority
    connector = aiohttp.TCPConnector(ssl=unchecked, limit=0)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=True) as session:
        application = web.Application(client_max_size=2**30)
        application.router.add_route("*", "/{path:.*}", _Proxy(cluster["server"], session, cuts).handle)
        runner = web.AppRunner(
            application, handler_cancellation=True, max_line_size=65536, max_field_size=65536
        )
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            port = runner.addresses[0][1]
            config["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{port}"}
            through = directory / "cutting.kubeconfig"
            await asyncio.to_thread(through.write_text, yaml.safe_dump(config))
            yield str(through)
        finally:
            await runner.cleanup()
