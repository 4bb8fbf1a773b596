"""Reads who else is connected to the databases of a plan: sessions that come from no known pod.

A role does not see the address of another role's session. So each database is asked by every URL that is known to lead
there: what one of them shows is known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from daemon.ports.databases import Databases, Session
from daemon.ports.errors import PortError
from daemon.ports.pods.cluster import Addresses
from daemon.ports.pods.pods import Pods
from schemas.facts import SessionFact
from schemas.wire import ResourceKey


@dataclass
class WaysIn:
    """The URLs, which are secrets, that lead to each database."""

    urls: dict[ResourceKey, dict[str, str]] = field(default_factory=dict)
    """Database -> URL -> the environment whose pod has it."""

    def add(self, key: ResourceKey, url: str, environment: str) -> None:
        """Note that the URL leads to the database."""
        self.urls.setdefault(key, {}).setdefault(url, environment)


@dataclass
class SessionFindings:
    """The sessions of no known pod, and why they could not be read where that is so."""

    sessions: list[SessionFact] = field(default_factory=list)
    unread: dict[ResourceKey, PortError] = field(default_factory=dict)


class SessionReader:
    """Reads sessions through ports."""

    def __init__(self, pods: Pods, databases: Databases) -> None:
        self._pods = pods
        self._databases = databases

    async def read(
        self,
        ways: WaysIn,
        users: Mapping[ResourceKey, Iterable[str]],
        keys: Iterable[ResourceKey],
        slots: asyncio.Semaphore,
    ) -> SessionFindings:
        """Read the sessions in these databases. `users` are the environments whose pods may be there."""
        wanted = sorted(set(keys))
        findings = SessionFindings()
        environments = sorted({user for key in wanted for user in users.get(key, ())})
        known = dict(
            zip(
                environments,
                await asyncio.gather(*(self._addresses(slots, name) for name in environments)),
                strict=True,
            )
        )
        await asyncio.gather(
            *(
                self._read(
                    findings, slots, key, ways.urls.get(key, {}), [known[user] for user in users.get(key, ())]
                )
                for key in wanted
            )
        )
        findings.sessions.sort(key=lambda fact: (fact.key, fact.role, fact.application, fact.address or ""))
        return findings

    async def _addresses(self, slots: asyncio.Semaphore, environment: str) -> Addresses | PortError:
        try:
            async with slots:
                return await self._pods.addresses(environment)
        except PortError as error:
            return error

    async def _read(
        self,
        findings: SessionFindings,
        slots: asyncio.Semaphore,
        key: ResourceKey,
        urls: Mapping[str, str],
        known: Iterable[Addresses | PortError],
    ) -> None:
        pods, nodes = set[str](), set[str]()
        for found in known:
            if isinstance(found, PortError):
                findings.unread[key] = found
                return
            pods |= found.pods
            nodes |= found.nodes
        sessions: dict[int, Session] = {}
        failure, failed = None, 0
        for url, environment in sorted(urls.items()):
            try:
                async with slots:
                    seen = await self._databases.sessions(url, environment=environment)
            except PortError as error:
                failure, failed = error, failed + 1
                continue
            for session in seen:
                if session.pid not in sessions or sessions[session.pid].hidden:
                    sessions[session.pid] = session
        nobody_told = failed == len(urls) or any(session.hidden for session in sessions.values())
        if failure is not None and nobody_told:
            findings.unread[key] = failure
        findings.sessions += [
            _fact(key, session, nodes)
            for session in sessions.values()
            if session.hidden or session.address not in pods
        ]


def _fact(key: ResourceKey, session: Session, nodes: set[str]) -> SessionFact:
    return SessionFact(
        key=key,
        role=session.role,
        application=session.application,
        address=session.address,
        hidden=session.hidden,
        of_node=session.address in nodes,
        writes=session.writes,
    )
