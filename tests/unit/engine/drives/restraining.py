"""People hold resets back in the midst of drives: freezes, and calls that something comes in between of."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from uuid_utils import uuid7

from schemas.audit import AuditAction, AuditEntry, Verdict
from schemas.freezes import Freeze
from schemas.resets import ResetState
from tests.unit.engine.drives.loop import LoopClock
from tests.unit.engine.drives.stand import ENVIRONMENT, Engine

HOUR = 3600.0


class Ahead:
    """A clock that was set forward."""

    def __init__(self, right: LoopClock, ahead: timedelta) -> None:
        self._right = right
        self._ahead = ahead

    def now(self) -> datetime:
        return self._right.now() + self._ahead

    async def sleep(self, seconds: float) -> None:
        await self._right.sleep(seconds)


async def freeze(
    engine: Engine, environment: str | None = ENVIRONMENT, seconds: float = HOUR, *, at_once: bool = False
) -> Freeze:
    """A person freezes an environment, or all of them."""
    now = engine.store._clock.now()
    given = Freeze(
        id=str(uuid7()),
        environment=environment,
        now=at_once,
        reason="month's end",
        given_by="olga",
        given_at=now,
        expires_at=now + timedelta(seconds=seconds),
    )
    await engine.store.freeze(given, line(engine, AuditAction.FREEZE))
    return given


async def unfreeze(engine: Engine, environment: str | None = ENVIRONMENT) -> None:
    await engine.store.unfreeze(environment, line(engine, AuditAction.UNFREEZE))


def line(engine: Engine, action: AuditAction) -> AuditEntry:
    return AuditEntry(
        chain="resetd",
        at=engine.clock.now(),
        action=action,
        verdict=Verdict.APPLIED,
        actor="olga",
        channel="http",
    )


async def waits(engine: Engine) -> str:
    """Drive until the reset waits, and say for what."""

    async def seen() -> bool:
        reset = await engine.reset()
        return reset.state is ResetState.QUEUED and reset.waiting_for is not None

    driving = asyncio.create_task(engine.drive())
    while not await seen():
        await asyncio.sleep(0.5)
        assert not driving.done(), f"it came to rest: {driving.result()}"
    driving.cancel()
    await asyncio.gather(driving, return_exceptions=True)
    waiting = (await engine.reset()).waiting_for
    assert waiting is not None
    return f"{waiting.reason}: {waiting.detail}"


def at_first(port: object, method: str, what: Callable[[], Awaitable[Any]]) -> None:
    """Let something happen right before the first call of a port's method takes effect."""
    call, came = getattr(port, method), False

    async def called(*arguments: object, **named: object) -> object:
        nonlocal came
        if not came:
            came = True
            await what()
        return await call(*arguments, **named)

    setattr(port, method, called)


async def until_recorded_and_not_launched(engine: Engine) -> None:
    """Ask for a reset, and end its drive once a launch was recorded that never arrives."""
    launch, asked = engine.pods.launch, 0

    async def never(*_: object) -> None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(10 * HOUR)

    engine.pods.launch = never  # type: ignore[method-assign, assignment]
    await engine.ask()
    await engine.drive_until(lambda: asked == 1)
    engine.pods.launch = launch  # type: ignore[method-assign]
