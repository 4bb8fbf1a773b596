"""The handshake: proof that a service's own tool reaches the database that the daemon reaches and backed up.

Variables lie: a tool may read another variable or a file, or resolve a host name elsewhere. So:

1. The daemon takes an advisory lock in the database, on a number that is new and random.
2. The service's own tool looks, in the database that it reaches, for that lock.
3. Only the same database of the same server has it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import AsyncExitStack

from daemon.engine.facts import FactsReader
from daemon.ports.databases import AdvisoryLock, Databases, Identity
from daemon.ports.errors import PermanentError, TemporaryError
from daemon.ports.pods.cluster import Pod
from daemon.ports.pods.pods import Pods
from schemas.catalog.catalog import Database, Service
from schemas.plan import PlannedStep
from schemas.reasons import Reason
from statemachines.steps.handshake import NOT_THE_DATABASE, statement

_Where = tuple[str, str, str]
"""(service, database, containerID)"""


class DatabaseProofs:
    """What was shown in one drive of a reset. Proofs and the sessions of their locks end with `stack`."""

    def __init__(self, stack: AsyncExitStack, facts: FactsReader, pods: Pods, databases: Databases) -> None:
        self._stack = stack
        self._facts = facts
        self._pods = pods
        self._databases = databases
        self._reached: dict[_Where, tuple[str, Identity]] = {}
        self._shown: dict[_Where, AdvisoryLock] = {}
        # Steps that run side by side show the same thing once.
        self._one_at_a_time: dict[_Where, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def show(self, pod: Pod, service: Service, step: PlannedStep) -> None:
        """Show that the service's tool in this container reaches every database that the step touches.

        Raises:
            PermanentError: `database-mismatch`.
            TemporaryError: it could not be tried.
        """
        touched = {key for key in step.touches if key.startswith("database/")}
        missing = set(touched)
        for database in service.databases:
            where = (service.name, database.name, pod.container_id)
            async with self._one_at_a_time[where]:
                if where in self._shown and not await self._shown[where].is_held():
                    # The server was restarted or replaced: the tool may reach another one by now.
                    del self._shown[where], self._reached[where]
                if where not in self._reached:
                    self._reached[where] = await self._facts.identify(pod, service, database.name)
                url, identity = self._reached[where]
                if identity.key in touched and where not in self._shown:
                    self._shown[where] = await self._shake_hands(pod, database, url, identity)
                missing.discard(identity.key)
        if missing:
            raise PermanentError(
                Reason.DATABASE_MISMATCH,
                f"{service.name} does not reach {', '.join(sorted(missing))} as the plan for {step.name} says",
            )

    async def _shake_hands(self, pod: Pod, database: Database, url: str, identity: Identity) -> AdvisoryLock:
        holding = self._databases.hold_lock(url, environment=pod.environment)
        lock = await self._stack.enter_async_context(holding)
        argv, stdin = statement(database.handshake, lock.number)
        result = await self._pods.read(pod, argv, timeout=database.handshake.timeout, stdin=stdin)
        if result.exit_code == 0:
            return lock
        said = (result.stdout + result.stderr).decode(errors="replace")
        if NOT_THE_DATABASE in said:
            raise PermanentError(
                Reason.DATABASE_MISMATCH,
                f"its own tool in {pod.name} does not see the lock held in {identity.name}: {said[-500:]}",
                hint="Compare the URL variable, directUrl, .env and prisma.config of the service.",
            )
        raise TemporaryError(
            Reason.DATABASE_UNIDENTIFIED,
            f"its own tool in {pod.name} could not ask {identity.name} "
            f"(exit code {result.exit_code}): {said[-500:]}",
        )
