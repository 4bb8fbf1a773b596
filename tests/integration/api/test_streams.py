from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from daemon.redaction.known_values import KNOWN
from tests.integration.api.stand import Stand, served

SECRET = "tr0ub4dor-and-3"
KEY = "-----BEGIN X-----\nQmVnaW5uaW5n\nRW5kaW5nLg==\n-----END X-----"


@contextlib.asynccontextmanager
async def _served(stand: Stand) -> AsyncIterator[httpx.AsyncClient]:
    """A client on a real socket. The transport in this process would hold a stream back until it ended."""
    headers = {"Authorization": f"Bearer {stand.tokens['oli']}"}
    async with (
        served(stand) as url,
        httpx.AsyncClient(base_url=f"{url}/api/v1", headers=headers, timeout=20) as client,
    ):
        yield client


async def _events(
    client: httpx.AsyncClient, path: str, **headers: str
) -> AsyncIterator[tuple[str, str, Any]]:
    async with client.stream("GET", path, headers={"Accept": "text/event-stream", **headers}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        event: dict[str, str] = {}
        async for line in answer.aiter_lines():
            name, colon, value = line.partition(": ")
            if colon:
                event[name] = value
            elif not line and "data" in event:
                yield event["id"], event["event"], json.loads(event["data"])
                event = {}


async def test_events_follow_a_reset_and_go_on_after_the_last_one_that_was_seen(stand: Stand) -> None:
    hold = stand.held["seed:system"] = asyncio.Event()
    async with _served(stand) as client:
        reset = await stand.asked()
        seen: list[str] = []
        async for number, event, _ in _events(client, "/resets/qa-sandbox/1/events"):
            seen.append(number)
            if event == "seeding":
                break
        hold.set()
        async for number, event, entry in _events(
            client, "/resets/qa-sandbox/1/events", **{"Last-Event-ID": seen[-1]}
        ):
            seen.append(number)
            if event == "done":
                assert entry["data"]["resetId"] == reset["id"]
                break
    assert seen == [str(number) for number in range(1, len(seen) + 1)]


async def test_a_stream_ends_when_the_daemon_drains(stand: Stand) -> None:
    reset = await stand.asked(dryRun=True)
    await stand.until(reset, "planned")
    async with _served(stand) as client, asyncio.timeout(10):
        async for _, event, _ in _events(client, "/resets/qa-sandbox/1/events"):
            if event == "planned":
                stand.context.closing.set()


@pytest.mark.parametrize("path", ["log?follow=true&step=seed.los-core-api.system", "events"])
async def test_a_stream_that_has_nothing_to_say_ends_as_well_when_its_token_is_taken_out(
    stand: Stand, tmp_path: Path, path: str
) -> None:
    hold = stand.held["seed:system"] = asyncio.Event()
    async with _served(stand) as client:
        await stand.asked()
        await stand.until_launched("seed:system")
        headers = {"Accept": "text/event-stream"}
        async with (
            asyncio.timeout(10),
            client.stream("GET", f"/resets/qa-sandbox/1/{path}", headers=headers) as answer,
        ):
            pieces = answer.aiter_bytes()
            assert await anext(pieces)
            tokens = tmp_path / "tokens.yaml"
            left = [one for one in yaml.safe_load(tokens.read_text()) if one["subject"] != "oli"]
            tokens.write_text(yaml.safe_dump(left))
            async for _ in pieces:
                pass
        hold.set()


async def test_a_log_is_followed_to_the_end_of_the_reset(stand: Stand) -> None:
    hold = stand.held["seed:system"] = asyncio.Event()
    async with _served(stand) as client:
        await stand.asked()
        text = ""
        async with client.stream("GET", "/resets/qa-sandbox/1/log", params={"follow": True}) as answer:
            async for piece in answer.aiter_text():
                text += piece
                if "seed:system" in text:
                    hold.set()
        assert (await client.get("/resets/qa-sandbox/1")).json()["state"] == "done"
        merged = (await client.get("/resets/qa-sandbox/1/log")).text
    assert text.count("==> seed.los-core-api.system (attempt 1) <==") == 1
    assert sorted(text.splitlines()) == sorted(merged.splitlines())


async def test_a_log_is_read_by_step_attempt_offset_and_tail(stand: Stand) -> None:
    stand.failing["seed:system"] = b"one\ntwo\nthree\n"
    reset = await stand.asked()
    await stand.until(reset, "failed")
    async with stand.client("oli") as client:
        path = f"/resets/{reset['id']}/log"
        step = {"step": "seed.los-core-api.system"}
        whole = (await client.get(path, params=step)).text
        assert whole.endswith("one\ntwo\nthree\n")
        assert (await client.get(path, params={**step, "offset": len(whole) - 6})).text == "three\n"
        assert (await client.get(path, params={**step, "offset": 10_000})).text == ""
        assert (await client.get(path, params={**step, "attempt": 1, "tail": 2})).text == "two\nthree\n"
        assert (await client.get(path, params={**step, "attempt": 9})).text == ""
        shown = (await client.get(f"/resets/{reset['id']}")).json()
        ends = [
            attempt["finishedAt"]
            for attempt in shown["attempts"]
            if attempt["step"] == "seed.los-core-api.system"
        ]
        assert (await client.get(path, params={**step, "since": ends[0]})).text == whole
        later = (datetime.fromisoformat(ends[0]) + timedelta(seconds=1)).isoformat()
        assert (await client.get(path, params={"since": later})).text == ""
        unknown = await client.get(path, params={"step": "seed.nothing"})
        assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown-step")
        assert (await client.get(path, params={"offset": 5})).status_code == 422


@pytest.mark.parametrize(
    ("first", "second", "masked"),
    [
        (SECRET[:7], f"{SECRET[7:]} indeed\n", "*" * len(SECRET) + " indeed\n"),
        (KEY[:30], f"{KEY[30:]}\n", re.sub(r"[^\n]", "*", KEY) + "\n"),
        ("postgresql://app:unkn", "own-to-all@db/core\n", "postgresql://app:**************@db/core\n"),
    ],
)
async def test_h1_who_follows_a_log_never_sees_the_first_part_of_a_secret_whose_rest_comes_later(
    stand: Stand, first: str, second: str, masked: str
) -> None:
    KNOWN.learn([SECRET, KEY])
    stand.halves["seed:system"] = (f"it is {first}".encode(), second.encode())
    hold = stand.held["seed:system"] = asyncio.Event()
    step = "seed.los-core-api.system"
    async with _served(stand) as client, asyncio.timeout(60):
        reset = await stand.asked()
        await stand.until_launched("seed:system")
        text = ""
        async with client.stream(
            "GET", f"/resets/{reset['id']}/log", params={"follow": True, "step": step}
        ) as answer:
            async for piece in answer.aiter_text():
                text += piece
                if "it is " in text:
                    # The first half came with these words.
                    assert hold.is_set() or text.endswith("it is "), text
                    hold.set()
        await stand.until(reset, "done")
        kept = (await client.get(f"/resets/{reset['id']}/log", params={"step": step})).text
    assert text == kept
    assert text.endswith(f"it is {masked}")
    KNOWN.forget([SECRET, KEY])
