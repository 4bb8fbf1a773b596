"""pods/log: what a container wrote, read from the CRI log file that its init keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web

from sandbox.kubernetes.api.requests.queries import flag
from sandbox.kubernetes.api.streams.exec import container_name
from sandbox.kubernetes.node.node import Node
from sandbox.kubernetes.objects import statuses
from sandbox.kubernetes.objects.kinds import PODS
from sandbox.kubernetes.objects.objects import Object

POLL = 0.1


@dataclass(frozen=True)
class LogOptions:
    """Which part of the log a request wants, as v1.PodLogOptions."""

    tail: int | None
    since: str
    limit: int | None
    timestamps: bool

    @classmethod
    def of(cls, query: Mapping[str, str]) -> LogOptions:
        """Read the options from the request's query; Refusal 400 where a number is none."""

        def number(name: str) -> int | None:
            try:
                return int(query[name]) if name in query else None
            except ValueError as error:
                raise statuses.bad_request(f"invalid {name}: {query[name]}") from error

        since = query.get("sinceTime", "").removesuffix("Z")
        if (seconds := number("sinceSeconds")) is not None:
            since = (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
        stamped = flag(query, "timestamps")
        return cls(number("tailLines"), since, number("limitBytes"), stamped)

    def line(self, entry: bytes) -> bytes:
        """Show a CRI entry as a client sees it; empty for an entry from before `since`."""
        stamp, _, whole, text = entry.split(b" ", 3)
        if stamp.decode() < self.since:
            return b""
        end = b"\n" if whole == b"F" else b""
        return (stamp + b" " if self.timestamps else b"") + text + end


async def serve(request: web.Request, node: Node, pod: Object) -> web.StreamResponse:
    """Answer one log request; with `follow` the answer goes on while the container runs."""
    query = request.query
    name = container_name(pod, query.get("container", ""))
    options = LogOptions.of(query)
    path = _path(node, pod, name, previous=flag(query, "previous"))
    entries, offset = _entries(path, 0)
    lines = [line for entry in entries if (line := options.line(entry))]
    if options.tail is not None:
        lines = lines[len(lines) - options.tail :] if options.tail < len(lines) else lines
        lines = lines if options.tail else []
    body = b"".join(lines)[: options.limit]
    if not flag(query, "follow"):
        return web.Response(body=body, content_type="text/plain")
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    try:
        await response.prepare(request)
        await response.write(body)
        running = True
        while running and request.transport is not None and not request.transport.is_closing():
            running = node.container_of(_fresh(node, pod), name) is not None
            entries, offset = _entries(path, offset)
            for entry in entries:
                await response.write(options.line(entry))
            if not entries and running:
                await asyncio.sleep(POLL)
        await response.write_eof()
    except ConnectionError:
        pass
    return response


def _fresh(node: Node, pod: Object) -> Object:
    meta = pod["metadata"]
    return node.objects.find(PODS, meta["namespace"], meta["name"]) or pod


def _path(node: Node, pod: Object, name: str, *, previous: bool) -> Path:
    statuses_held = pod["status"].get("containerStatuses") or []
    held = next((status for status in statuses_held if status["name"] == name), None)
    restart = (held or {}).get("restartCount", 0)
    waiting = ((held or {}).get("state") or {}).get("waiting")
    pod_name = pod["metadata"]["name"]
    crashed = bool(held and held["lastState"])
    if previous:
        # While a container waits for its next start, its count is still that of the start that crashed.
        restart -= 0 if waiting and crashed else 1
        if restart < 0:
            raise statuses.bad_request(
                f'previous terminated container "{name}" in pod "{pod_name}" not found'
            )
    elif held is None or (waiting and not crashed):
        reason = (waiting or {}).get("reason", "ContainerCreating")
        raise statuses.bad_request(f'container "{name}" in pod "{pod_name}" is waiting to start: {reason}')
    return node.log_path(pod, name, restart)


def _entries(path: Path, offset: int) -> tuple[list[bytes], int]:
    """Read the complete entries after an offset; returns them with the offset behind the last one."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return [], offset
    whole = data.rpartition(b"\n")[0]
    return (whole.split(b"\n"), offset + len(whole) + 1) if whole else ([], offset)
