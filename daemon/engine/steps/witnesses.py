"""The witnesses of one drive: for each database that the plan backs up, one session of the daemon in it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import AsyncExitStack

from daemon.engine.facts.markers import check_marker
from daemon.engine.facts.reader import FactsReader
from daemon.engine.leased_reset import LeasedReset
from daemon.engine.pod_choice import PodChoice
from daemon.ports.databases import Databases, Witness
from daemon.ports.errors import PermanentError
from schemas.plan import PlannedStep, StepKind
from schemas.reasons import Reason
from schemas.wire import ResourceKey


class Witnesses:
    """Opens each witness once, with the URL by which the backup reaches the database. They end with `stack`."""

    def __init__(
        self,
        stack: AsyncExitStack,
        facts: FactsReader,
        databases: Databases,
        pod_choice: PodChoice,
        leased: LeasedReset,
    ) -> None:
        self._stack = stack
        self._facts = facts
        self._databases = databases
        self._pod_choice = pod_choice
        self._leased = leased
        self._witnesses: dict[ResourceKey, Witness] = {}
        # Services that share a database share its witness.
        self._one_at_a_time: dict[ResourceKey, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def of(self, key: ResourceKey, url: str | None = None) -> Witness:
        """The witness in the database; another one where the server has ended the session of the last.

        `url` leads there where the plan has no backup of the database.

        Raises:
            PermanentError: `database-mismatch`: another database answers, or its marker names another environment.
            PortError: no witness can be opened there.
        """
        async with self._one_at_a_time[key]:
            known = self._witnesses.get(key)
            if known is not None and await known.is_alive():
                return known
            planned = self._backup_of(key)
            if planned is not None:
                pod = await self._pod_choice.find(planned)
                service = self._pod_choice.service(planned)
                url, _ = await self._facts.identify(pod, service, planned.database or "")
            if url is None:
                raise PermanentError(
                    Reason.DATABASE_UNIDENTIFIED, f"the plan does not say what leads to {key}"
                )
            opening = self._databases.witness(url, environment=self._leased.reset.environment)
            witness = await self._stack.enter_async_context(opening)
            if witness.identity.key != key:
                raise PermanentError(
                    Reason.DATABASE_MISMATCH,
                    f"{witness.identity.key} answers where the plan says {key}",
                    hint="Compare the URL variables of the services with the plan, then `resetd resume ID --replan`.",
                )
            check_marker(witness.identity, self._leased.reset.environment)
            self._witnesses[key] = witness
            return witness

    def _backup_of(self, key: ResourceKey) -> PlannedStep | None:
        steps = self._leased.plan.steps if self._leased.plan else ()
        backups = (step for step in steps if step.kind is StepKind.BACKUP_DATABASE)
        return next((step for step in backups if key in step.touches), None)
