"""All that the API needs of the rest of the daemon, in one value."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Protocol

from fastapi import Depends, Request

from daemon.api.tokens import Tokens
from daemon.config.settings import Settings
from daemon.metrics import Metrics
from daemon.ports.clock import Clock
from daemon.ports.logs import Logs
from daemon.ports.pods.pods import Pods
from daemon.ports.store.store import Store
from schemas.api import DoctorReport
from schemas.catalog.catalog import Catalog
from schemas.plan import Plan
from schemas.requests import ResetRequested
from schemas.resets import Channel
from schemas.wire import ResetId
from statemachines.refusals import Refusal


class PlansResets(Protocol):
    """`daemon.engine.planning.Planning`, as the API uses it."""

    async def plan(self, request: ResetRequested, channel: Channel) -> Plan | Refusal:
        """What a reset for this request would do now; nothing is touched."""
        ...


class ExaminesEnvironments(Protocol):
    """`daemon.engine.doctor.Doctor`, as the API uses it."""

    async def examine(self, environment: str) -> DoctorReport:
        """Findings for one environment; never raises for what could not be looked at."""
        ...


@dataclass(frozen=True)
class ApiContext:
    """Ports and settings of the API."""

    store: Store
    catalog: Catalog
    tokens: Tokens
    logs: Logs
    pods: Pods
    planning: PlansResets
    doctor: ExaminesEnvironments
    clock: Clock
    metrics: Metrics
    settings: Settings
    new_id: Callable[[], ResetId]
    """A new reset's id."""
    ready: Mapping[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    """Checks of `/readyz` beside the state database: each raises while its part is not ready."""
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the daemon drains: streams end, so that the server can."""

    async def check_whole(self) -> None:
        """Right before something is taken down that has to stay.

        Raises:
            TemporaryError: `state-restored`: the state lacks what it had; whoever puts a newer one back loses this one.
        """
        if (check := self.ready.get("mark")) is not None:
            await check()


def _context(request: Request) -> ApiContext:
    context: ApiContext = request.app.state.context
    return context


Context = Annotated[ApiContext, Depends(_context)]
