"""Watches: a stream of JSON lines ADDED, MODIFIED, DELETED, BOOKMARK, ERROR."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from sandbox.kubernetes.api.requests.queries import flag
from sandbox.kubernetes.objects import statuses
from sandbox.kubernetes.objects.kinds import Target
from sandbox.kubernetes.objects.objects import Change, Object, Objects
from sandbox.kubernetes.objects.selectors import Matches

PATROL = 1.0


def event(change: Change, target: Target, matches: Matches) -> tuple[str, Object] | None:
    """What one change is to a watcher of `target`: leaving the selection is DELETED, entering it ADDED."""
    if change.kind is not target.kind:
        return None
    meta = change.latest["metadata"]
    if target.namespace and meta.get("namespace") != target.namespace:
        return None
    if target.name and meta["name"] != target.name:
        return None
    was = change.before is not None and matches(change.before)
    is_now = change.after is not None and matches(change.after)
    if is_now:
        assert change.after is not None
        return ("MODIFIED" if was else "ADDED"), change.after
    if not was:
        return None
    assert change.before is not None
    last = change.before | {"metadata": meta | {"resourceVersion": str(change.version)}}
    return "DELETED", last


async def serve(
    request: web.Request,
    objects: Objects,
    target: Target,
    matches: Matches,
    shape: Callable[[Object], Object],
) -> web.StreamResponse:
    """Answers a watch request until its timeout, or until the client leaves."""
    query = request.query
    pending = _first(objects, target, matches, query)
    queue = objects.subscribe()
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    clock = asyncio.get_running_loop().time
    end = clock() + _timeout(query)
    try:
        await response.prepare(request)
        for kind, one in pending:
            await _send(response, kind, shape(one))
            # What is missed can't be made good: the client must list again.
            end = 0.0 if kind == "ERROR" else end
        while (left := end - clock()) > 0 and _connected(request):
            try:
                async with asyncio.timeout(min(left, PATROL)):
                    change = await queue.get()
            except TimeoutError:
                continue
            if (found := event(change, target, matches)) is not None:
                await _send(response, found[0], shape(found[1]))
        if flag(query, "allowWatchBookmarks") and _connected(request):
            await _send(response, "BOOKMARK", _bookmark(objects, target))
        await response.write_eof()
    except ConnectionError:
        pass
    finally:
        objects.unsubscribe(queue)
    return response


def _first(
    objects: Objects, target: Target, matches: Matches, query: Mapping[str, str]
) -> list[tuple[str, Object]]:
    """What comes before news: the present state without a version, the missed changes with one."""
    if flag(query, "sendInitialEvents"):
        raise statuses.invalid(
            "ListOptions",
            "meta.k8s.io",
            "",
            [
                (
                    "FieldValueForbidden",
                    "Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled",
                    "sendInitialEvents",
                )
            ],
        )
    version = query.get("resourceVersion", "")
    if version in {"", "0"}:
        listed = objects.every(target.kind, target.namespace)
        named = (one for one in listed if target.name in {"", one["metadata"]["name"]})
        return [("ADDED", one) for one in named if matches(one)]
    if not version.isdigit():
        raise statuses.bad_request(f"invalid resource version {version!r}")
    try:
        changes = objects.since(int(version))
    except statuses.Refusal as refusal:
        # As the watch cache answers: 200, and the 410 as an event of the stream.
        return [("ERROR", refusal.status)]
    found = (event(change, target, matches) for change in changes)
    return [one for one in found if one is not None]


def _timeout(query: Mapping[str, str]) -> float:
    given = query.get("timeoutSeconds", "")
    # Half an hour to an hour, as `--min-request-timeout` has it: clients must expect a clean end.
    return float(given) if given.isdigit() and int(given) else random.uniform(1800, 3600)  # noqa: S311


def _connected(request: web.Request) -> bool:
    return request.transport is not None and not request.transport.is_closing()


def _bookmark(objects: Objects, target: Target) -> Object:
    return {
        "kind": target.kind.kind,
        "apiVersion": target.kind.api_version,
        "metadata": {"resourceVersion": str(objects.version), "creationTimestamp": None},
    }


async def _send(response: web.StreamResponse, kind: str, one: dict[str, Any]) -> None:
    await response.write(json.dumps({"type": kind, "object": one}).encode() + b"\n")
