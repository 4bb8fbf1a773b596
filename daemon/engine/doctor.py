"""Looks at an environment as the guide's troubleshooting does: pods, deployments, ArgoCD, migrations, logs.

Nothing is changed. What can't be looked at is a finding of its own, beside all others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from daemon.engine.facts.reader import FactsReader
from daemon.engine.resting import CHECK as RESTING
from daemon.engine.resting import Resting
from daemon.ports.deployments import Deployments
from daemon.ports.dump_store import DumpStore
from daemon.ports.errors import PermanentError, PortError
from daemon.ports.pods.cluster import Pod, Workloads
from daemon.ports.pods.pods import Pods
from daemon.redaction import redact
from schemas.api import DoctorReport, Finding, FindingLevel
from schemas.catalog.catalog import Catalog, Service
from schemas.catalog.operations import DoctorCheck
from schemas.catalog.steps import DoctorCommand
from schemas.patterns import Pattern
from statemachines.planning.commands import failures_of
from statemachines.planning.sharing import CHECK, findings
from statemachines.steps.known_failures import known_failure

COMMANDS_AT_ONCE = 4
"""Commands that run at the same time: each is a process of node in a service's pod."""
_KEPT_LINES = 20
"""Last lines of a command's output that a finding shows."""
_BACKUP_STORE = "backup-store"
_POD_HINT = "Look at `kubectl get pods -n {environment}` and the Deployment's events."


class Doctor:
    """Examines environments by what the catalog declares."""

    def __init__(
        self,
        pods: Pods,
        deployments: Deployments,
        facts: FactsReader,
        catalog: Catalog,
        resting: Resting,
        dumps: DumpStore | None = None,
    ) -> None:
        self._pods = pods
        self._deployments = deployments
        self._catalog = catalog
        self._facts = facts
        self._dumps = dumps
        self._resting = resting

    async def examine(self, environment: str) -> DoctorReport:
        """All findings, in the catalog's order. What could not be looked at is a finding, never an error."""
        slots = asyncio.Semaphore(COMMANDS_AT_ONCE)
        checks: list[Awaitable[list[Finding]]] = []
        wanted = self._catalog.doctor.checks
        if DoctorCheck.DEPLOYMENTS in wanted:
            checks.append(self._deployments_found(environment))
        if DoctorCheck.ARGOCD in wanted:
            checks.append(self._argocd(environment))
        if DoctorCheck.SHARING in wanted:
            checks.append(self._sharing(environment))
        if self._dumps is not None:
            checks.append(self._backup_store(self._dumps))
        checks.append(_safely(RESTING, environment, lambda: self._resting.findings(environment)))
        checks += [self._service(environment, service, slots) for service in self._catalog.in_order]
        findings = tuple(finding for found in await asyncio.gather(*checks) for finding in found)
        bad = {FindingLevel.FAILED, FindingLevel.UNKNOWN}
        return DoctorReport(
            environment=environment,
            healthy=not any(finding.level in bad for finding in findings),
            findings=findings,
        )

    async def _deployments_found(self, environment: str) -> list[Finding]:
        async def examine() -> list[Finding]:
            workloads = await self._pods.workloads(environment)
            unread = [_unseen("deployments", environment, error, error.hint) for error in workloads.unread]
            return unread + [
                _deployment(service, workloads, environment) for service in self._catalog.in_order
            ]

        return await _safely("deployments", environment, examine)

    async def _backup_store(self, dumps: DumpStore) -> list[Finding]:
        """Show that dumps can be stored and read back, and are never replaced."""

        async def examine() -> list[Finding]:
            try:
                await dumps.check()
            except PermanentError as error:
                return [
                    Finding(
                        check=_BACKUP_STORE,
                        subject="store",
                        level=FindingLevel.FAILED,
                        detail=error.detail,
                        hint=error.hint,
                    )
                ]
            return [
                Finding(
                    check=_BACKUP_STORE,
                    subject="store",
                    level=FindingLevel.OK,
                    detail="can be written to and read, and replaces nothing",
                )
            ]

        return await _safely(_BACKUP_STORE, "store", examine)

    async def _sharing(self, environment: str) -> list[Finding]:
        """Read who shares what as for a plan, and tell what would refuse it."""

        async def examine() -> list[Finding]:
            facts, namespaces = await self._facts.sharing(environment)
            return list(findings(facts, namespaces, self._catalog, beside=environment))

        return await _safely(CHECK, environment, examine)

    async def _argocd(self, environment: str) -> list[Finding]:
        async def examine() -> list[Finding]:
            gate = await self._deployments.gate(environment)
            level = FindingLevel.OK if gate.open else FindingLevel.WARNING
            hint = (
                None
                if gate.open
                else f"Look at `argocd app get {environment}`; a reset waits until it is settled."
            )
            detail = gate.reason or ("settled" if gate.open else "not settled")
            return [Finding(check="argocd", subject=environment, level=level, detail=detail, hint=hint)]

        return await _safely("argocd", environment, examine)

    async def _service(self, environment: str, service: Service, slots: asyncio.Semaphore) -> list[Finding]:
        findings: list[Finding] = []
        wanted = self._catalog.doctor.checks
        try:
            pod = await self._pods.choose(environment, service.selector_text, service.container)
        except PortError as error:
            findings.append(_unseen("pods", service.name, error, _POD_HINT.format(environment=environment)))
        else:
            if DoctorCheck.PODS in wanted:
                detail = f"{pod.name}, container {pod.container}, restarted {pod.restart_count} times"
                findings.append(
                    Finding(check="pods", subject=service.name, level=FindingLevel.OK, detail=detail)
                )
            runs = [self._command(pod, service, command, slots) for command in service.doctor]
            findings += [finding for found in await asyncio.gather(*runs) for finding in found]
        if DoctorCheck.LOGS in wanted:
            findings += await self._last_log(environment, service)
        return findings

    async def _command(
        self, pod: Pod, service: Service, command: DoctorCommand, slots: asyncio.Semaphore
    ) -> list[Finding]:
        async def examine() -> list[Finding]:
            async with slots:
                result = await self._pods.read(pod, command.argv, timeout=command.timeout)
            output = redact((result.stdout + result.stderr).decode(errors="replace"))
            line = _matching_line(command.fail_on, output)
            failed = result.exit_code != 0 or line is not None
            shown = command.pass_on is None or _matching_line(command.pass_on, output) is not None
            level = FindingLevel.OK if shown else FindingLevel.UNKNOWN
            detail = f"exit code {result.exit_code}" + (f"; {line.strip()}" if line else "")
            if not failed and not shown:
                detail += f"; can't tell: no line of its output matches {command.pass_on}"
            return [
                Finding(
                    check=command.name,
                    subject=service.name,
                    level=FindingLevel.FAILED if failed else level,
                    detail=detail,
                    output="\n".join(output.splitlines()[-_KEPT_LINES:]),
                    hint=self._hint(service, output) if failed else None,
                )
            ]

        return await _safely(command.name, service.name, examine)

    async def _last_log(self, environment: str, service: Service) -> list[Finding]:
        async def examine() -> list[Finding]:
            lines = self._catalog.doctor.log_lines
            log = await self._pods.last_log(environment, service.selector_text, lines, service.container)
            text = redact(log)
            count = len(text.splitlines())
            return [
                Finding(
                    check="logs",
                    subject=service.name,
                    level=FindingLevel.OK,
                    detail=f"the last {count} lines" if count else "the log is empty",
                    output=text or None,
                )
            ]

        return await _safely("logs", service.name, examine)

    def _hint(self, service: Service, output: str) -> str | None:
        """The hint of the first failure that the catalog knows and the output shows."""
        known = known_failure(failures_of(self._catalog, service.failures), output)
        return known.hint if known is not None else None


def _deployment(service: Service, workloads: Workloads, environment: str) -> Finding:
    matching = workloads.matching(service.selector_text)
    count = workloads.replicas(service.selector_text)
    if count:
        detail = f"{count} replica{'s' if count > 1 else ''} asked for"
        return Finding(check="deployments", subject=service.name, level=FindingLevel.OK, detail=detail)
    return Finding(
        check="deployments",
        subject=service.name,
        level=FindingLevel.WARNING if matching else FindingLevel.FAILED,
        detail="scaled to 0" if matching else f"no workload has {service.selector_text}",
        hint=f"Look at `kubectl get deployments,statefulsets -n {environment} --show-labels`.",
    )


def _matching_line(expression: str | None, output: str) -> str | None:
    return None if expression is None else Pattern.of(expression).first_line(output)


async def _safely(check: str, subject: str, examine: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
    try:
        return await examine()
    except PortError as error:
        return [_unseen(check, subject, error, error.hint)]


def _unseen(check: str, subject: str, error: PortError, hint: str | None) -> Finding:
    """A finding for what could not be looked at: `failed` where that is for good, `unknown` where it may pass."""
    level = FindingLevel.FAILED if isinstance(error, PermanentError) else FindingLevel.UNKNOWN
    return Finding(check=check, subject=subject, level=level, detail=error.detail, hint=error.hint or hint)
