"""Watches: a stream of JSON lines, each an event ADDED, MODIFIED, DELETED, BOOKMARK or ERROR."""

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
    """The event that a watcher of `target` gets for a change; None: no event.

    An object that leaves the selection is DELETED, one that enters it is ADDED.
    """
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
    """Answer a watch request until its timeout, or until the client leaves."""
    query = request.query
    pending = _first(objects, target, matches, query)
    queue = objects.subscribe()
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    clock = asyncio.get_running_loop().time
    end = clock() + _timeout(query)
    try:
        await response.prepare(request)
        for kind, shown in pending:
            await _send(response, kind, shape(shown))
            # The missed changes are lost, so the watch ends: the client has to list again.
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
    """The events that come first: with a version the changes since that version, without one the present state."""
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
        named = (stored for stored in listed if target.name in {"", stored["metadata"]["name"]})
        return [("ADDED", stored) for stored in named if matches(stored)]
    if not version.isdigit():
        raise statuses.bad_request(f"invalid resource version {version!r}")
    try:
        changes = objects.since(int(version))
    except statuses.Refusal as refusal:
        # The watch cache of a real API server answers 200, too, and sends the 410 as an event of the stream.
        return [("ERROR", refusal.status)]
    found = (event(change, target, matches) for change in changes)
    return [found_event for found_event in found if found_event is not None]


def _timeout(query: Mapping[str, str]) -> float:
    given = query.get("timeoutSeconds", "")
    # Half an hour to an hour, as with `--min-request-timeout`: clients must expect a clean end.
    return float(given) if given.isdigit() and int(given) else random.uniform(1800, 3600)  # noqa: S311


def _connected(request: web.Request) -> bool:
    return request.transport is not None and not request.transport.is_closing()


def _bookmark(objects: Objects, target: Target) -> Object:
    return {
        "kind": target.kind.kind,
        "apiVersion": target.kind.api_version,
        "metadata": {"resourceVersion": str(objects.version), "creationTimestamp": None},
    }


async def _send(response: web.StreamResponse, kind: str, shown: dict[str, Any]) -> None:
    await response.write(json.dumps({"type": kind, "object": shown}).encode() + b"\n")
