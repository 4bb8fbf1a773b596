"""What the API needs from the rest of the daemon, in one value."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request

from daemon.api.connections import Streams
from daemon.api.refusal_budget import RefusalBudget
from daemon.api.token_file import TokenFile, TokensUnreadableError
from daemon.api.tokens import Caller
from daemon.metrics import Metrics
from daemon.ports.backups import Backup
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
from statemachines.planning.used import Used
from statemachines.refusals import Refusal
from statemachines.retention import KeptDump


class PlansResets(Protocol):
    """`daemon.engine.planning.Planning`, as the API uses it."""

    async def plan(self, request: ResetRequested, channel: Channel) -> Plan | Refusal:
        """Plan a reset for this request from the facts of now, or say which rule refuses it. No reset is made."""
        ...

    async def resources(self, environment: str) -> Used:
        """Read what an environment uses, and what of it could not be read."""
        ...

    def refuse_new(self) -> Refusal | None:
        """Return why no new reset starts, whatever it asks for; None where the configuration allows them."""
        ...


class ExaminesEnvironments(Protocol):
    """`daemon.engine.doctor.Doctor`, as the API uses it."""

    async def examine(self, environment: str) -> DoctorReport:
        """Examine one environment. A check that can't be made becomes a finding instead of an error."""
        ...


class KeepsBackups(Protocol):
    """`daemon.engine.sweepers.backups.BackupKeeper`, as the API uses it."""

    async def prune(self, *, dry_run: bool = False) -> Sequence[KeptDump]:
        """Remove the dumps that may go, and return them; with `dry_run` they stay."""
        ...

    async def verify(self, row: Mapping[str, Any]) -> Backup:
        """Read a recorded dump through once more, and compare it with its manifest."""
        ...

    async def manifest(self, path: str) -> bytes | None:
        """Return the manifest of a dump; None where it is gone."""
        ...


@dataclass(frozen=True)
class ApiContext:
    """Ports and settings of the API."""

    store: Store
    catalog: Catalog
    tokens: TokenFile
    logs: Logs
    pods: Pods
    planning: PlansResets
    doctor: ExaminesEnvironments
    keeper: KeepsBackups
    clock: Clock
    metrics: Metrics
    new_id: Callable[[], ResetId]
    """Make the id of a new reset."""
    ready: Mapping[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    """Checks of `/readyz` beside that of the state database, by name. Each raises while its part is not ready."""
    streams: Streams = field(default_factory=Streams)
    refusals: RefusalBudget = field(default_factory=RefusalBudget)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the daemon drains. Streams then end, which lets the server stop."""

    def knows(self, caller: Caller) -> bool:
        """Whether the token of a call is still what it was when the call began."""
        try:
            return self.tokens.knows(caller, now=self.clock.now())
        except TokensUnreadableError:
            return False

    async def refuse_restored_state(self) -> None:
        """Refuse to store a request or an act in a state that was restored from an older backup.

        Raises:
            TemporaryError: `state-restored`: the state is older than the marks beside the backups say. What it stores
                now is lost once somebody puts a newer state back.
        """
        if (check := self.ready.get("mark")) is not None:
            await check()


def _context(request: Request) -> ApiContext:
    context: ApiContext = request.app.state.context
    return context


Context = Annotated[ApiContext, Depends(_context)]
