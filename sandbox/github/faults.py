"""Armed faults that calls of the API meet: errors, the rate limit, an answer that never comes, a head that moves."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from sandbox.faults.armoury import Armoury
from sandbox.faults.fault import Fault
from sandbox.faults.kinds import FaultKind
from sandbox.fleet import FLEET
from sandbox.github.access import CONTROL
from sandbox.github.hub import Hub, Repository

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_REPOSITORY = re.compile(r"/repos/([^/]+)/([^/]+)")
_HEADS = "refs/heads/"
_LIMITED = 2.0


class ArmedFaults:
    """The armed faults of one hub.

    A call belongs to the environments whose client has the repository; a call on no repository meets any fault.
    """

    def __init__(self, armoury: Armoury, hub: Hub) -> None:
        self._armoury = armoury
        self._hub = hub

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Middleware: let one call meet the faults that are meant for it."""
        if request.path.startswith(CONTROL):
            return await handler(request)
        body = await _json(request)
        repository = self._repository(request.path, body)
        if self._take(FaultKind.GITHUB_5XX, repository):
            return web.json_response({"message": "Server Error"}, status=502)
        if limited := self._take(FaultKind.GITHUB_RATE_LIMITED, repository):
            return _rate_limited(limited.seconds_or(_LIMITED))
        updates = _updates(body)
        if updates and repository is not None:
            self._move(repository, updates)
        response = await handler(request)
        if (
            updates
            and _applied(response)
            and (late := self._take(FaultKind.GITHUB_TIMEOUT_AFTER_WRITE, repository))
        ):
            await asyncio.sleep(late.seconds_or(0.0))
            if request.transport is not None:
                request.transport.abort()
        return response

    def _take(self, kind: FaultKind, repository: Repository | None) -> Fault | None:
        """Claim a hit of a fault of this kind that is meant for an environment of the repository's client."""
        clients = {None} if repository is None else _environments(repository)
        for environment in sorted(clients, key=str):
            if fault := self._armoury.take([kind], environment):
                return fault
        return None

    def _move(self, repository: Repository, updates: list[dict[str, Any]]) -> None:
        """Push to a branch that is among the refs, right before these are updated."""
        refs = repository.git.refs()
        moved = [str(update["name"]).removeprefix(_HEADS) for update in updates if update.get("name") in refs]
        if moved and self._take(FaultKind.GITHUB_REF_MOVED, repository):
            repository.push(moved[0], "Meanwhile", {"meanwhile.json": json.dumps(time.time_ns())})

    def _repository(self, path: str, body: dict[str, Any]) -> Repository | None:
        if found := _REPOSITORY.search(path):
            return self._hub.find(found[1], found[2])
        variables = body.get("variables") or {}
        if "owner" in variables:
            return self._hub.find(str(variables["owner"]), str(variables.get("name")))
        return self._hub.by_node_id(str((variables.get("input") or {}).get("repositoryId")))


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read() or b"{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _environments(repository: Repository) -> set[str | None]:
    """The environments whose client has this repository; where there are none, a name that no environment has."""
    names: set[str | None] = {member.name for member in FLEET if member.workflows == repository.name}
    return names or {f"of {repository.name}"}


def _updates(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The ref updates of a GraphQL call `updateRefs`; none for any other call."""
    if not re.search(r"\bupdateRefs\s*\(", str(body.get("query", ""))):
        return []
    wanted = ((body.get("variables") or {}).get("input") or {}).get("refUpdates")
    return [update for update in wanted if isinstance(update, dict)] if isinstance(wanted, list) else []


def _applied(response: web.StreamResponse) -> bool:
    return isinstance(response, web.Response) and '"errors"' not in (response.text or "")


def _rate_limited(seconds: float) -> web.Response:
    body = {
        "message": "API rate limit exceeded for user ID 1.",
        "documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api",
    }
    headers = {
        "X-RateLimit-Limit": "5000",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Used": "5000",
        "X-RateLimit-Reset": str(int(time.time() + seconds) + 1),
        "X-RateLimit-Resource": "core",
    }
    return web.json_response(body, status=403, headers=headers)
