"""The two clients of the API server, for REST and for WebSockets, on one configuration.

Both take the same way (proxy, TLS server name, authority), show the same credentials, and ask once more after a 401: a
request that was refused so had no effect.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes_asyncio.client import ApiClient, ApiException
from kubernetes_asyncio.client.rest import RESTClientObject
from kubernetes_asyncio.stream import WsApiClient
from kubernetes_asyncio.stream.ws_client import get_websocket_url

from daemon.adapters.kubernetes.connection.credentials import Credentials

UNAUTHORIZED = 401
_HEARTBEAT_SECONDS = 20.0
"""Load balancers cut a connection that is silent for a minute."""
_DRAIN_SECONDS = 600.0
"""How long connections that were made with former credentials may still be in use."""
_READ_BUFFER_BYTES = 2**21
_COLLECTIONS = "items"


class _Connections(RESTClientObject):
    """Connections as a configuration says, and never as the environment says to aiohttp."""

    def __init__(self, configuration: Any) -> None:  # noqa: ANN401 - the client's own type is untyped
        super().__init__(configuration)
        connector = self.pool_manager.connector
        self.pool_manager.detach()
        self.pool_manager = aiohttp.ClientSession(
            connector=connector, trust_env=False, read_bufsize=_READ_BUFFER_BYTES
        )


class _SharedConnection(ApiClient):
    """What both clients have in common."""

    def __init__(self, credentials: Credentials, **options: Any) -> None:  # noqa: ANN401 - the client's
        super().__init__(credentials.configuration, **options)
        self.credentials = credentials
        self._former: list[tuple[float, RESTClientObject]] = [(float("-inf"), self.rest_client)]
        self.rest_client = _Connections(credentials.configuration)
        credentials.connected.append(self._connect_anew)

    async def close(self) -> None:
        """Close all connections, also those of former credentials."""
        for _, former in self._former:
            await former.close()
        await super().close()

    async def call_api(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the client's
        """Send a request, once more after a 401 where other credentials were found.

        Raises:
            ApiException: the server refuses.
            ValueError: what answered is no Kubernetes API.
        """
        await self.credentials.refresh()
        await self._close_former()
        used = self.credentials.generation
        try:
            return _checked(await super().call_api(*args, **kwargs), args)
        except ApiException as error:
            if error.status != UNAUTHORIZED or not await self.credentials.renew(used):
                raise
        return _checked(await super().call_api(*args, **kwargs), args)

    def _connect_anew(self) -> None:
        new = _Connections(self.credentials.configuration)
        self._former.append((time.monotonic(), self.rest_client))
        self.rest_client = new

    async def _close_former(self) -> None:
        while self._former and time.monotonic() - self._former[0][0] > _DRAIN_SECONDS:
            await self._former.pop(0)[1].close()


class RestClient(_SharedConnection):
    """The client for REST."""


class WebSocketClient(_SharedConnection, WsApiClient):
    """The client for `pods/exec`."""

    def __init__(self, credentials: Credentials) -> None:
        super().__init__(credentials, heartbeat=_HEARTBEAT_SECONDS)

    async def request(
        self,
        method: str,  # noqa: ARG002 - the client's
        url: str,
        query_params: Any = None,  # noqa: ANN401 - the client's
        headers: dict[str, str] | None = None,
        post_params: Any = None,  # noqa: ANN401, ARG002 - the client's
        body: Any = None,  # noqa: ANN401, ARG002 - the client's
        _preload_content: bool = False,
        _request_timeout: Any = None,  # noqa: ANN401 - the client's
    ) -> Any:  # noqa: ANN401 - aiohttp's context manager
        """Open a WebSocket by the way that REST takes. The client's own method knows no proxy and no server name."""
        parameters = [
            (key, each)
            for key, value in query_params or ()
            for each in (value if isinstance(value, list) else [value])
        ]
        rest = self.rest_client
        return rest.pool_manager.ws_connect(
            get_websocket_url(f"{url}?{urlencode(parameters)}"),
            headers=headers,
            heartbeat=self.heartbeat,
            proxy=rest.proxy,
            proxy_headers=rest.proxy_headers,
            server_hostname=rest.server_hostname,
        )


def _checked(answer: Any, request: tuple[Any, ...]) -> Any:  # noqa: ANN401 - any object of the API
    """Return an answer that has what every object of the API has.

    Raises:
        ValueError: it lacks that, as JSON of somebody else's does.
    """
    if "DELETE" in request[:2]:
        return answer  # a Status, or the object: nobody reads it
    found = getattr(answer, _COLLECTIONS, None)
    for each in found if isinstance(found, list) else [answer]:
        lacking = [
            part
            for part in ("metadata", "spec", "status")
            if part in getattr(each, "openapi_types", {}) and getattr(each, part) is None
        ]
        if lacking:
            raise ValueError(f"a {type(each).__name__} without {', '.join(lacking)}")
    return answer
