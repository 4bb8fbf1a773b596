"""The API server's entrance: one aiohttp application that leads each request to objects, logs or execs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from sandbox.kubernetes.api import discovery
from sandbox.kubernetes.api.access import ADMIN, Access
from sandbox.kubernetes.api.requests.queries import flag
from sandbox.kubernetes.api.resources.rest import Rest
from sandbox.kubernetes.api.streams import logs
from sandbox.kubernetes.api.streams.exec import Streams
from sandbox.kubernetes.objects import kinds, statuses
from sandbox.kubernetes.objects.kinds import PODS
from sandbox.kubernetes.objects.objects import Object, Objects


class AccountFaults(Protocol):
    """The faults that the requests of one account may run into."""

    @property
    def user(self) -> str:
        """The account; requests of others are spared."""
        ...

    async def exec(self, request: web.Request, streams: Streams, pod: Object) -> web.StreamResponse:
        """Answer an exec of the account."""
        ...

    async def listing(self, namespace: str, selector: str) -> None:
        """Called before the account is given a list of pods; `selector` is the request's `labelSelector`."""
        ...


@dataclass(frozen=True)
class Server:
    """Answers every request to the API server, and the sandbox's own control calls under /sandbox."""

    objects: Objects
    access: Access
    streams: Streams
    provision: Callable[[str], None]
    """Provisions the environment of that name."""
    faults: AccountFaults | None = None

    def application(self) -> web.Application:
        """Make the aiohttp application."""
        application = web.Application(client_max_size=3 * 1024 * 1024)
        application.router.add_route("*", "/{path:.*}", self.answer)
        return application

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; a Refusal becomes its Status."""
        try:
            return await self._route(request)
        except statuses.Refusal as refusal:
            return web.json_response(refusal.status, status=refusal.code)
        except web.HTTPRequestEntityTooLarge:
            message = "Request entity too large: limit is 3145728"
            body = statuses.failure(413, "RequestEntityTooLarge", message)
            return web.json_response(body, status=413)

    async def _route(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if path in {"/livez", "/readyz", "/healthz"}:
            return web.Response(text="ok")
        user = self.access.user(request.headers.get("Authorization", ""))
        if path.startswith("/sandbox/"):
            return self._control(request, user)
        served = kinds.served({each["metadata"]["name"] for each in self.objects.every(kinds.DEFINITIONS)})
        if request.method == "GET" and (document := discovery.answer(path, served)) is not None:
            return web.json_response(document)
        target = kinds.parse(path)
        if target is None:
            return web.Response(status=404, text="404 page not found\n")
        watch = flag(request.query, "watch")
        self.access.check(self.objects, user, request.method, target, watch=watch)
        if target.kind not in served:
            # Rights are asked first: who may not list what there is not is forbidden to.
            return web.Response(status=404, text="404 page not found\n")
        if target.subresource in {"log", "exec"}:
            pod = self.objects.get(PODS, target.namespace, target.name)
            if target.subresource == "log":
                return await logs.serve(request, self.streams.node, pod)
            if self.faults is not None and user == self.faults.user:
                return await self.faults.exec(request, self.streams, pod)
            return await self.streams.serve(request, pod)
        lists_pods = target.kind is PODS and request.method == "GET" and not target.name and not watch
        if lists_pods and self.faults is not None and user == self.faults.user:
            await self.faults.listing(target.namespace, request.query.get("labelSelector", ""))
        return await Rest(self.objects).answer(request, target)

    def _control(self, request: web.Request, user: str) -> web.Response:
        """Answer a control call.

        - POST environments/NAME provisions an environment.
        - POST streams/cut resets all execs, GET streams counts them.
        - POST tokens/ACCOUNT/rotate gives an account another token.
        """
        if user != ADMIN:
            raise statuses.Refusal(403, "Forbidden", "control calls are the admin's")
        match request.method, *request.path.strip("/").split("/")[1:]:
            case "POST", "environments", name:
                self.provision(name)
                return web.json_response({"environment": name}, status=201)
            case "POST", "streams", "cut":
                return web.json_response({"cut": self.streams.cut_all()})
            case "POST", "tokens", account, "rotate":
                self.access.rotate(account)
                return web.json_response({"rotated": account})
            case "GET", "streams":
                return web.json_response({"open": self.streams.open})
        raise statuses.Refusal(404, "NotFound", "the sandbox has no such control")


async def listen(
    application: web.Application, host: str, port: int, context: object
) -> tuple[web.AppRunner, int]:
    """Serve the application; returns its runner and the port that it got.

    Raises:
        OSError: the port is taken.
    """
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, host, port, ssl_context=context, backlog=512)  # type: ignore[arg-type]
    await site.start()
    bound: tuple[str, int] = runner.addresses[0]
    await asyncio.sleep(0)
    return runner, bound[1]
