"""What every call passes through: faults that tests asked for, tokens, rate-limit headers, ETags."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import jwt
from aiohttp import web

from sandbox.github.answers import when
from sandbox.github.hub import Fault
from sandbox.github.rest import HUB, problem

CONTROL = "/_sandbox"
_LIMIT = 5000
_HOUR = 3600

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def faults(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware: record a call, and let it meet the fault that the control API asked for."""
    if request.path.startswith(CONTROL):
        return await handler(request)
    hub = request.app[HUB]
    call = f"{request.method} {request.path}"
    hub.requests.append(call)
    fault = hub.fault(call)
    if fault is None:
        return await handler(request)
    return await _faulty(request, handler, fault)


async def _faulty(request: web.Request, handler: Handler, fault: Fault) -> web.StreamResponse:
    if fault.action == "status":
        return web.json_response(
            fault.body or {"message": "Server Error"}, status=fault.status, headers=fault.headers
        )
    if fault.action == "delay":
        await asyncio.sleep(fault.seconds)
        return await handler(request)
    if fault.action == "garbage-after":
        await request.read()
        await handler(request)
        return web.Response(text="<!doctype html><title>Sign in</title>", content_type="text/html")
    if fault.action == "drop-after":
        await request.read()
        await handler(request)
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


@web.middleware
async def access(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware: a wrong token is 401; without a token every repository is invisible (404), as private ones are."""
    if request.path.startswith((CONTROL, "/app/")):
        return await handler(request)
    given = request.headers.get("Authorization", "")
    kind, _, token = given.partition(" ")
    hub = request.app[HUB]
    if not given:
        response: web.StreamResponse = problem(404, "Not Found")
        if request.path == "/graphql":
            response = problem(403, "API rate limit exceeded")
    elif kind.lower() not in {"token", "bearer"} or token not in hub.tokens:
        response = problem(401, "Bad credentials")
    else:
        response = await _with_etag(request, handler)
    response.headers.update(
        {
            "X-RateLimit-Limit": str(_LIMIT),
            "X-RateLimit-Remaining": str(max(_LIMIT - len(hub.requests), 1)),
            "X-RateLimit-Used": str(min(len(hub.requests), _LIMIT - 1)),
            "X-RateLimit-Reset": str(int(time.time()) + _HOUR),
            "X-RateLimit-Resource": "graphql" if request.path == "/graphql" else "core",
            "X-GitHub-Request-Id": f"SANDBOX:{len(hub.requests):X}",
        }
    )
    return response


async def _with_etag(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPNotFound as missing:
        # GitHub's words go for unknown paths, too.
        return problem(404, "Not Found") if missing.content_type != "application/json" else missing
    if (
        request.method != "GET"
        or not isinstance(response, web.Response)
        or response.status != web.HTTPOk.status_code
    ):
        return response
    body = response.body if isinstance(response.body, bytes) else b""
    etag = f'W/"{hashlib.sha256(body).hexdigest()}"'
    if request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers={"ETag": etag})
    response.headers["ETag"] = etag
    return response


async def installation_token(request: web.Request) -> web.Response:
    """POST /app/installations/{id}/access_tokens: a token for a JWT that the app signed."""
    hub = request.app[HUB]
    _, _, assertion = request.headers.get("Authorization", "").partition(" ")
    try:
        issuer = jwt.decode(assertion, options={"verify_signature": False})["iss"]
        jwt.decode(assertion, hub.app_keys[str(issuer)], algorithms=["RS256"], options={"verify_iss": False})
    except (jwt.PyJWTError, KeyError):
        return problem(401, "A JSON web token could not be decoded")
    token = f"ghs_sandbox{len(hub.tokens)}"
    hub.tokens.add(token)
    expires = datetime.now(UTC) + timedelta(hours=1)
    body = {
        "token": token,
        "expires_at": when(expires),
        "permissions": {"metadata": "read", "pull_requests": "read", **hub.app_permissions[str(issuer)]},
        "repository_selection": "all",
    }
    return web.json_response(body, status=201)
