"""What the API bounds: connections, bodies, streams, refused tries, and what a header may hold."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import Iterator

import httpx
import pytest

from daemon.api import body_limits, connections
from daemon.api.connections import STREAMS_OF_ONE, most_connections
from daemon.api.refusal_budget import RECORDED
from tests.integration.api.stand import Stand, served

HALF = b"POST /api/v1/resets HTTP/1.1\r\nHost: resetd\r\nContent-Le"
HALF_A_BODY = b"POST /livez HTTP/1.1\r\nHost: resetd\r\nContent-Length: 1000\r\n\r\n{"
HALF_A_CHUNK = b"POST /page HTTP/1.1\r\nHost: resetd\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"
UNREAD = b"POST /api/v1/resets HTTP/1.1\r\nHost: resetd\r\nContent-Length: 1000\r\n\r\n{"


@pytest.fixture
def few_files() -> Iterator[None]:
    """Let this process open few files, as a daemon in a container with the usual limit can."""
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, most))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))


async def open_connections(url: str, count: int, sent: bytes) -> list[asyncio.StreamWriter]:
    port = httpx.URL(url).port
    writers = []
    for _ in range(count):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        writers.append(writer)
    return writers


@pytest.mark.usefixtures("few_files")
@pytest.mark.parametrize("sent", [HALF, HALF_A_BODY, HALF_A_CHUNK], ids=["head", "body", "chunk"])
async def test_h2_half_sent_requests_without_a_token_keep_nobody_out(stand: Stand, sent: bytes) -> None:
    assert most_connections() == 64
    async with served(stand) as url:
        writers = await open_connections(url, 100, sent)
        async with httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=20) as client:
            headers = {"Authorization": f"Bearer {stand.tokens['oli']}"}
            assert (await client.get("/whoami", headers=headers)).status_code == 200
        for writer in writers:
            writer.close()


async def test_h2_answers_that_nobody_reads_keep_nobody_out(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 4)
    request = await _of_long_output(stand)
    async with served(stand) as url:
        writers = await open_connections(url, 4, request)
        headers = {"Authorization": f"Bearer {stand.tokens['oli']}"}
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    async with httpx.AsyncClient(base_url=url, headers=headers) as client:
                        assert (await client.get("/api/v1/whoami")).status_code == 200
                        break
                await asyncio.sleep(0.05)
        for writer in writers:
            writer.close()


async def test_h2_a_stream_that_nobody_reads_ends(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "READ_SECONDS", 0.2)
    monkeypatch.setattr(connections, "STREAMS_OF_ONE", 1)
    request = await _of_long_output(stand, follow=True)
    path = "/api/v1/resets/qa-sandbox/1/log?follow=true&offset=0&step=seed.los-core-api.system"
    headers = {"Authorization": f"Bearer {stand.tokens['oli']}"}
    async with served(stand) as url, httpx.AsyncClient(base_url=url, headers=headers) as client:
        [writer] = await open_connections(url, 1, request)
        async with asyncio.timeout(20):
            for expected in (429, 200):
                while True:
                    async with client.stream("GET", path) as answer:
                        if answer.status_code == expected:
                            break
                    await asyncio.sleep(0.05)
        writer.close()
    stand.held["seed:system"].set()


async def _of_long_output(stand: Stand, *, follow: bool = False) -> bytes:
    """Let a command run that has printed much, and return the request for its output."""
    stand.held["seed:system"] = asyncio.Event()
    reset = await stand.asked()
    await stand.until_launched("seed:system")
    attempts = await stand.context.store.attempts(reset["id"])
    attempt = next(each for each in attempts if each.step == "seed.los-core-api.system")
    await stand.context.logs.keep(attempt.id, 0, b"a line\n" * 2_000_000)
    query = f"step={attempt.step}&follow={str(follow).lower()}"
    return (
        f"GET /api/v1/resets/{reset['id']}/log?{query} HTTP/1.1\r\nHost: resetd\r\n"
        f"Authorization: Bearer {stand.tokens['oli']}\r\n\r\n"
    ).encode()


@pytest.mark.parametrize("sent", [b"", HALF])
async def test_h2_a_request_whose_head_does_not_come_is_closed(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    async with served(stand) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(url).port)
        writer.write(sent)
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()


async def test_h2_without_a_token_the_answer_comes_before_the_body(stand: Stand) -> None:
    async with served(stand) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(url).port)
        writer.write(UNREAD)
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 401")


async def test_h2_a_body_that_does_not_come_ends_with_408(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_limits, "BODY_SECONDS", 0.2)
    token = f"Authorization: Bearer {stand.tokens['ana']}\r\n".encode()
    async with served(stand) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(url).port)
        writer.write(UNREAD.replace(b"Host:", token + b"Host:"))
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"too-slow" in answer


async def test_h2_one_token_opens_so_many_streams_and_closing_one_makes_room(stand: Stand) -> None:
    hold = stand.held["seed:system"] = asyncio.Event()
    headers = {"Authorization": f"Bearer {stand.tokens['oli']}", "Accept": "text/event-stream"}
    limits = httpx.Limits(max_connections=None)
    async with served(stand) as url, httpx.AsyncClient(base_url=url, limits=limits, timeout=20) as client:
        await stand.asked()
        path = "/api/v1/resets/qa-sandbox/1/events"

        async def opened() -> httpx.Response:
            return await client.send(client.build_request("GET", path, headers=headers), stream=True)

        streams = [await opened() for _ in range(STREAMS_OF_ONE)]
        assert {stream.status_code for stream in streams} == {200}
        # A generator that nobody holds closes its stream.
        begun = [stream.aiter_raw() for stream in streams]
        for pieces in begun:
            await anext(pieces)
        refused = await client.get(path, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (429, "too-many-streams")
        other = await client.get("/api/v1/whoami", headers={"Authorization": f"Bearer {stand.tokens['ana']}"})
        assert other.status_code == 200
        await streams.pop().aclose()
        async with asyncio.timeout(20):
            while (again := await opened()).status_code == 429:
                await again.aclose()
                await asyncio.sleep(0.05)
        for stream in (*streams, again):
            await stream.aclose()
        hold.set()


async def test_h3_whoever_may_not_see_a_reset_leaves_nothing_in_its_history(stand: Stand) -> None:
    reset = await stand.asked("oli", environment="los-demo-production", dryRun=True)
    async with stand.client("vera") as vera, stand.client("oli") as oli:
        before = (await oli.get("/audit", params={"environment": "los-demo-production"})).json()
        for _ in range(20):
            answer = await vera.post(f"/resets/{reset['id']}/cancel", json={"reason": "x"})
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        after = (await oli.get("/audit", params={"environment": "los-demo-production"})).json()
    assert after == before


async def test_h3_an_environment_named_as_a_reset_adds_nothing_to_that_resets_chain(stand: Stand) -> None:
    reset = await stand.asked("oli", environment="los-demo-production", dryRun=True)
    async with stand.client("vera") as vera:
        answer = await vera.post("/resets", json={"environment": reset["id"]})
        assert answer.status_code == 403
    chains = {entry.chain for entry in await stand.store.audit(limit=100)}
    assert "subject/vera" in chains
    lines = [entry for entry in await stand.store.audit(limit=100) if entry.chain == reset["id"]]
    assert {entry.actor for entry in lines} == {"oli"}


async def test_h3_refused_tries_of_one_subject_are_bounded_in_the_audit(stand: Stand) -> None:
    reset = await stand.asked("oli")
    async with stand.client("vera") as vera:
        for _ in range(RECORDED + 20):
            answer = await vera.post(f"/resets/{reset['id']}/deny", json={"reason": "x"})
            assert answer.status_code in {403, 409}
    lines = [entry for entry in await stand.store.audit(limit=1000) if entry.actor == "vera"]
    assert len(lines) == RECORDED


@pytest.mark.parametrize("key", ["a\tb", "x" * 256, "\x7f", '"' + "y" * 256 + '"'])
async def test_h6_an_idempotency_key_that_is_none_is_refused_by_its_name(stand: Stand, key: str) -> None:
    async with stand.client("ana") as client:
        answer = await client.post(
            "/resets", json={"environment": "qa-sandbox"}, headers={"Idempotency-Key": key}
        )
    assert (answer.status_code, answer.json()["code"]) == (400, "schema-violation")
    assert "Idempotency-Key" in answer.json()["detail"]
    assert answer.json()["errors"][0]["pointer"] == "Idempotency-Key"


@pytest.mark.parametrize("trace", ["a b", "x" * 2000])
async def test_h6_a_trace_that_is_none_is_ignored(stand: Stand, trace: str) -> None:
    async with stand.client("ana") as client:
        answer = await client.post(
            "/resets", json={"environment": "qa-sandbox", "dryRun": True}, headers={"traceparent": trace}
        )
    assert answer.status_code == 202
