"""The daemon as its own witness: it looks into the databases itself, beside what a step's checks ask for.

A command's exit code is a claim, and so is what it prints. So what a step promised is looked for in the database that
the plan names, by a short session of the daemon's own, before the step counts as done.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from daemon.engine.commands.database_sessions import pod_of
from daemon.engine.facts.image_migrations import image_migrations
from daemon.engine.facts.reader import FactsReader
from daemon.engine.leased_reset import LeasedReset
from daemon.engine.pod_choice import PodChoice
from daemon.engine.steps.proven_servers import check_incarnation
from daemon.ports.backoff import Backoff
from daemon.ports.clock import Clock
from daemon.ports.contents import Contents, Reader
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from daemon.ports.pods.cluster import Cluster, Pod
from schemas.checks import MigrationsCheck, PlannedCheck
from schemas.plan import PlannedStep
from schemas.resets import Attempt, Outcome
from statemachines.steps.activity import finds_rows
from statemachines.steps.check_outcomes import hint_of, is_measured_before, judged, known_before, no_answer
from statemachines.steps.database_checks import (
    Verdict,
    judge_migrations,
    judge_rows,
    judge_unchanged,
    ledger_of,
    nothing_carried,
)
from statemachines.steps.learned import first_seed_kept, judge_learned, kept_tables, key_of

ASKING_LIMIT = timedelta(seconds=60)
"""How long a database that does not answer is asked again, once a command ended well."""


class DatabaseChecks:
    """One for each drive of a reset."""

    def __init__(
        self,
        facts: FactsReader,
        contents: Contents,
        cluster: Cluster,
        pod_choice: PodChoice,
        leased: LeasedReset,
        clock: Clock,
    ) -> None:
        self._facts = facts
        self._contents = contents
        self._cluster = cluster
        self._pod_choice = pod_choice
        self._leased = leased
        self._clock = clock
        self._carried: dict[tuple[str, MigrationsCheck], tuple[str, ...]] = {}
        """(containerID, check) -> the migrations of that container. An image does not change while it runs."""

    async def check_image(self, step: PlannedStep, pod: Pod) -> None:
        """Show that the image carries migrations for what a step of a wipe empties. Call right before its launch.

        Raises:
            PermanentError: `migrations-not-shown`.
            PortError: it could not be asked.
        """
        for check in step.launch_needs:
            assert check.migrations is not None
            ids = await image_migrations(self._cluster, pod, check.migrations)
            self._carried[pod.container_id, check.migrations] = ids
            if not ids:
                verdict = nothing_carried(check)
                assert verdict.reason is not None
                detail = f"{step.name}: {verdict.detail}"
                raise PermanentError(verdict.reason, detail, hint=hint_of(verdict.reason))

    async def baseline(self, step: PlannedStep, pod: Pod) -> dict[str, Any] | None:
        """What is there before the step, to be recorded with its attempt before the launch; None: nobody will ask.

        An earlier attempt of the step may have changed it already: what was recorded for that one stands.

        Raises:
            PortError: a database could not be asked.
        """
        if not is_measured_before(step):
            return None
        former = [one for one in await self._leased.attempts() if one.step == step.name]
        found, again = known_before(step, former)
        asked = [check for check in again if check.learned is None or self._first_kept(step, check) is None]
        for database, checks in _by_database(asked).items():
            url, _ = await self._facts.identify(pod, self._pod_choice.service(step), database)
            async with self._reading(url, step, pod, checks[0]) as reader:
                for check in checks:
                    found[check.name] = await _before(reader, check)
        return found or None

    async def met_before(self, step: PlannedStep, pod: Pod) -> tuple[str, ...]:
        """Name the checks that find rows right now, which they are to find after the step.

        Raises:
            PortError: a database could not be asked.
        """
        verdicts = await self.look(step, pod, [check for check in step.checks if finds_rows(check)])
        return tuple(verdict.check for verdict in verdicts if verdict.shows)

    async def confirm(self, step: PlannedStep, attempt: Attempt, outcome: Outcome) -> Outcome:
        """Answer `outcome`, of a command that ended well, once its checks are met; else how they fail.

        The command has run, so that a database that does not answer is asked again for a while. No error is raised.
        """
        if not step.checks:
            return outcome
        backoff = Backoff(self._clock, shortest=0.2, longest=5.0)
        until = self._clock.now() + ASKING_LIMIT
        while True:
            try:
                pod = pod_of(attempt.control) if attempt.control else await self._pod_choice.choose(step)
                found = await self.look(step, pod, step.checks, attempt.baseline)
                return judged(found, outcome, attempt.baseline)
            except TemporaryError as error:
                if self._clock.now() > until:
                    return no_answer(outcome, error.reason, error.detail, temporary=True)
                await backoff.wait()
            except PermanentError as error:
                return no_answer(outcome, error.reason, error.detail, hint=error.hint)

    async def look(
        self,
        step: PlannedStep,
        pod: Pod,
        checks: Sequence[PlannedCheck],
        baseline: Mapping[str, Any] | None = None,
    ) -> list[Verdict]:
        """Look at each check once, by one session for each database, in the server that was dumped.

        Raises:
            PermanentError: `database-mismatch`: another server answers, or it was started again since.
            PortError: a database or the container could not be asked.
        """
        service = self._pod_choice.service(step)
        found: list[Verdict] = []
        for database, some in _by_database(checks).items():
            ids = {
                check: await self._ids(step, pod, check.migrations)
                for check in some
                if check.migrations is not None
            }
            try:
                url, _ = await self._facts.identify(pod, service, database)
            except PortError:
                # The command's container is gone; the service's present one shows where the database is.
                url, _ = await self._facts.identify(await self._pod_choice.choose(step), service, database)
            async with self._reading(url, step, pod, some[0]) as reader:
                for check in some:
                    verdict = (
                        await _verdict(reader, check, ids.get(check, ()), baseline)
                        if check.learned is None
                        else await self._compare_with_learned(reader, step, check, baseline)
                    )
                    found.append(replace(verdict, check=check.name))
        return found

    @asynccontextmanager
    async def _reading(
        self, url: str, step: PlannedStep, pod: Pod, check: PlannedCheck
    ) -> AsyncIterator[Reader]:
        """A session in the server that was dumped, and in no other one: rows of a copy say nothing of it.

        Raises:
            PermanentError: `database-mismatch`.
            PortError: it could not be opened.
        """
        opened = self._contents.open(url, environment=pod.environment, resource=check.resource)
        async with opened as reader:
            check_incarnation(self._leased, check.resource, reader.incarnation, asks=step.name)
            yield reader

    async def _compare_with_learned(
        self, reader: Reader, step: PlannedStep, check: PlannedCheck, baseline: Mapping[str, Any] | None
    ) -> Verdict:
        plan = self._leased.plan
        assert plan is not None
        known, found = await self._leased.learned(), await reader.filled(check.ledgers)
        kept = self._first_kept(step, check)
        before = (baseline or {}).get(check.name)
        if kept is None and before is not None:
            kept = kept_tables(before, await reader.table_numbers(check.ledgers), found)
        return judge_learned(check, key_of(plan, step, check), known, found, kept)

    def _first_kept(self, step: PlannedStep, check: PlannedCheck) -> Sequence[str] | None:
        plan = self._leased.plan
        return None if plan is None else first_seed_kept(plan, self._leased.steps, step, check)

    async def _ids(self, step: PlannedStep, pod: Pod, check: MigrationsCheck) -> tuple[str, ...]:
        """The migrations that the container carries; they are listed once for each."""
        key = (pod.container_id, check)
        if key not in self._carried:
            try:
                self._carried[key] = await image_migrations(self._cluster, pod, check)
            except PortError:
                present = await self._pod_choice.choose(step)
                if present.container_id == pod.container_id:
                    raise
                return await image_migrations(self._cluster, present, check)
        return self._carried[key]


async def _verdict(
    reader: Reader, check: PlannedCheck, ids: Sequence[str], baseline: Mapping[str, Any] | None
) -> Verdict:
    if check.migrations is not None:
        return judge_migrations(check, ids, await reader.ledger(ledger_of(check.migrations)))
    if check.rows is not None:
        if check.rows.any_table:
            return judge_rows(check, sum((await reader.filled(check.ledgers)).values()))
        return judge_rows(check, await reader.count(check.rows))
    assert check.unchanged is not None
    before = (baseline or {}).get(check.name)
    return judge_unchanged(check, before, await reader.fingerprint(check.unchanged))


async def _before(reader: Reader, check: PlannedCheck) -> dict[str, Any]:
    if check.unchanged is not None:
        seen = await reader.fingerprint(check.unchanged)
        return {} if seen is None else seen.as_fact()
    found, numbers = await reader.filled(check.ledgers), await reader.table_numbers(check.ledgers)
    return {table: numbers[table] for table, has_rows in found.items() if has_rows and table in numbers}


def _by_database(checks: Sequence[PlannedCheck]) -> dict[str, list[PlannedCheck]]:
    grouped: dict[str, list[PlannedCheck]] = defaultdict(list)
    for check in checks:
        grouped[check.database].append(check)
    return grouped
