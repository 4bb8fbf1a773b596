"""Gathers the evidence of one round after another on one stand."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from sandbox import fleet, journal
from sandbox.polling import wait_until
from tests.torture.judge.evidence import Acted, Asked, Doubt, Dump, Evidence, Out, Told, Word
from tests.torture.judge.launches import seconds
from tests.torture.judge.state_order import AT_REST
from tests.torture.script.people import APPROVAL_TTL, APPROVES_IN
from tests.torture.script.protection import PRODUCTION
from tests.torture.stand import witnesses
from tests.torture.stand.stand import Stand

_MAIN = "refs/heads/main"
_TOLD_WITHIN = 30.0
_ANSWERED_WITHIN = 30.0
_READ_WITHIN = 0.05
_LOOK_EVERY = 0.05
_AUDIT_LINES = 1000


class Gatherer:
    """Asks the witnesses of a stand. A round begins where the last one ended, so nothing falls between two rounds."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self._platform = stand.platform
        bootstrap = stand.platform.bootstrap
        self._status = witnesses.Topic(bootstrap, stand.topics["status"])
        self._dead_letters = witnesses.Topic(bootstrap, stand.topics["dead-letters"])
        self._sessions = witnesses.Sessions(stand.platform.databases.servers)
        self._heads: dict[str, list[str]] = {}
        self._roots: dict[str, str] = {}
        self._former: dict[str, frozenset[str]] = {}
        self._told: list[Told] = []
        self._offset = self._end_of_journal()
        self._doubts: dict[str, Doubt] = {}
        self._logged: dict[Path, int] = {}
        self._sessions.skip()
        self._begun = datetime.now(UTC)

    def begin(self, repositories: Iterable[str]) -> None:
        """Begin a round that may rewind these repositories."""
        self._begun = datetime.now(UTC)
        self._heads = {}
        self._doubts = {}
        for repository in repositories:
            head = asyncio.run(self._platform.github.head(repository))
            self._heads[repository] = [head]
            self._former[repository] = frozenset(asyncio.run(self._platform.github.refs(repository))) - {
                _MAIN
            }
            if repository not in self._roots:
                self._roots[repository] = self._objects(repository).root(head)

    def pushed(self, repository: str, head: str) -> None:
        """Note a head that the round pushed, and the heads that others pushed before."""
        refs = asyncio.run(self._platform.github.refs(repository))
        self._pushed_by_others(repository, {name: sha for name, sha in refs.items() if sha != head})
        self._heads[repository].append(head)

    def look_at_unknown(self, reset: Mapping[str, Any]) -> None:
        """Note, once for each attempt that a reset at rest calls unknown, what Kubernetes has of its container."""
        if reset["state"] not in AT_REST:
            return
        for attempt in reset["attempts"]:
            if (attempt["outcome"] or {}).get("kind") == "unknown" and attempt["id"] not in self._doubts:
                self._doubts[attempt["id"]] = Doubt(attempt["id"], self._state_of(attempt["control"]))

    def _state_of(self, control: Mapping[str, Any] | None) -> str:
        if control is None:
            return "none"
        states = self._containers([control["environment"]])
        return next((state for state, ids in states.items() if control["containerId"] in ids), "gone")

    def journal(self) -> journal.Journal:
        """Read what was launched since the round began."""
        return journal.read(self._platform.witness.file, offset=self._offset)

    def production(self) -> Mapping[str, str]:
        """The databases of the protected environment, by service; nothing where it is not there."""
        if PRODUCTION not in self._platform.environments:
            return {}
        places = fleet.environment(PRODUCTION).databases
        return {
            service: self._sessions.key(place)
            for (service, variable), place in places.items()
            if variable == "DATABASE_URL"
        }

    def gather(
        self,
        asked: Sequence[Asked],
        acted: Sequence[Acted],
        resets: Mapping[str, Mapping[str, Any]],
        stuck: Sequence[str],
        *,
        words: Sequence[Word] = (),
        outages: Sequence[Out] = (),
        plans_seen: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Evidence:
        """Gather all evidence about these resets; then the next round may begin."""
        told = self._read_status(resets)
        plans = {reset: self._get(f"/resets/{reset}/plan") for reset in resets}
        launches = self.journal().launches
        containers = self._containers({launch.namespace for launch in launches})
        refs = {name: asyncio.run(self._platform.github.refs(name)) for name in self._heads}
        for repository in self._heads:
            self._pushed_by_others(repository, refs[repository])
        evidence = Evidence(
            asked=tuple(asked),
            acted=tuple(acted),
            resets=resets,
            plans={reset: plan for reset, plan in plans.items() if plan is not None},
            launches=launches,
            sessions=self._sessions.read(),
            told=told,
            dumps=tuple(dump for reset in resets for dump in self._dumps(reset)),
            dead_letters=self._read_dead_letters(
                frozenset(request.tag for request in asked if not request.readable)
            ),
            containers=containers["running"],
            ended=containers["terminated"],
            refs=refs,
            roots=dict(self._roots),
            heads={repository: tuple(heads) for repository, heads in self._heads.items()},
            doubts=tuple(self._doubts.values()),
            crashes=tuple(self._crashes()),
            words=tuple(words),
            outages=tuple(outages),
            protected=self._protected(),
            former_plans=plans_seen or {},
            approval_ttl=APPROVAL_TTL,
            approves_in=APPROVES_IN,
            audit=tuple(self._audit()),
            stuck=tuple(stuck),
        )
        self._offset = self._end_of_journal()
        self._sessions.skip()
        return evidence

    def close(self) -> None:
        """Close the consumers of the topics."""
        self._status.close()
        self._dead_letters.close()

    def _pushed_by_others(self, repository: str, refs: Mapping[str, str]) -> None:
        """Note what a fault pushed in this round on top of a known head."""
        objects, known = self._objects(repository), self._heads[repository]
        seen = [sha for name, sha in refs.items() if name not in self._former[repository]]
        for sha in dict.fromkeys(seen):
            if sha not in known and objects.parent(sha) in known:
                known.append(sha)

    def _objects(self, repository: str) -> witnesses.Objects:
        owner = self._platform.github.owner
        return witnesses.Objects(self._platform.directory / "github" / owner / f"{repository}.git")

    def _read_status(self, resets: Mapping[str, Mapping[str, Any]]) -> tuple[Told, ...]:
        """The events of these resets, once all those have come that the resets say were published, or time is over."""
        wanted = {
            (identifier, number)
            for identifier, reset in resets.items()
            for number in range(1, reset["sequence"] + 1)
        }

        def all_came() -> bool:
            self._told += [witnesses.told(record) for record in self._status.read(within=_READ_WITHIN)]
            return wanted <= {(event.data["resetId"], event.data["sequence"]) for event in self._told}

        self._wait_for_records(all_came)
        return tuple(event for event in self._told if event.data["resetId"] in resets)

    def _read_dead_letters(self, tags: frozenset[str]) -> tuple[str, ...]:
        """The dead letters' tags, once these tags are among them, or time is over."""
        found: list[str] = []

        def all_came() -> bool:
            records = self._dead_letters.read(within=_READ_WITHIN)
            found.extend(
                (record.value() or b"").decode(errors="replace").removeprefix("{") for record in records
            )
            return tags <= set(found)

        self._wait_for_records(all_came)
        return tuple(found)

    def _wait_for_records(self, all_came: Callable[[], bool]) -> None:
        """Wait until records have come, or time is over; daemons that die meanwhile are started again."""

        def look() -> bool:
            if all_came():
                return True
            self._stand.look()
            return False

        wait_until(look, within=_TOLD_WITHIN, every=_LOOK_EVERY)

    def _get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """What a daemon answers, as soon as one does: a daemon may still die at its last failpoint."""
        until = time.monotonic() + _ANSWERED_WITHIN
        while True:
            try:
                return self._stand.get(path)
            except httpx.HTTPError:
                if time.monotonic() > until:
                    raise
                self._stand.look()
                time.sleep(_LOOK_EVERY)

    def _protected(self) -> Mapping[str, frozenset[tuple[str, str | None]]]:
        users: dict[str, set[tuple[str, str | None]]] = defaultdict(set)
        if PRODUCTION in self._platform.environments:
            environment = fleet.environment(PRODUCTION)
            for (service, _), place in environment.databases.items():
                users[self._sessions.key(place)].add((PRODUCTION, service))
            repository = f"repository/{self._platform.github.owner}/{environment.workflows}/main"
            users[repository].add((PRODUCTION, None))
        return {key: frozenset(names) for key, names in users.items()}

    def _audit(self) -> Sequence[Mapping[str, Any]]:
        since = quote(self._begun.isoformat())
        return self._get(f"/audit?limit={_AUDIT_LINES}&since={since}") or ()

    def _dumps(self, reset: str) -> Iterable[Dump]:
        for row in self._get(f"/backups?reset={reset}") or ():
            path = self._stand.backups / row["path"]
            yield Dump(
                reset_id=row["resetId"],
                resource=row["resource"],
                taken_at=seconds(row["takenAt"]),
                sha256=row["sha256"],
                proven=row["proven"],
                sha256_on_disk=_sha256(path),
                written_at=path.stat().st_mtime if path.exists() else None,
            )

    def _containers(self, environments: Iterable[str]) -> Mapping[str, frozenset[str]]:
        """The containers that pods' statuses call `running` and `terminated`, with the last container before each."""
        found: dict[str, set[str]] = {"running": set(), "terminated": set()}
        for environment in environments:
            for pod in asyncio.run(self._platform.cluster.pods(environment)):
                for status in (pod.get("status") or {}).get("containerStatuses") or ():
                    if "running" in status["state"]:
                        found["running"].add(status["containerID"])
                    for state in (status["state"], status.get("lastState") or {}):
                        if "terminated" in state:
                            found["terminated"].add(state["terminated"]["containerID"])
        return {state: frozenset(containers) for state, containers in found.items()}

    def _crashes(self) -> Iterator[str]:
        """What daemons crashed of, and which drives crashed by the daemons' logs, since the last call."""
        self._stand.look()
        yield from self._stand.crashes
        self._stand.crashes.clear()
        for log in (daemon.log for daemon in self._stand.daemons):
            lines = log.read_text(errors="replace").splitlines()
            for line in lines[self._logged.get(log, 0) :]:
                if '"drive.crashed"' in line:
                    yield f"the drive of {json.loads(line)['reset']}"
            self._logged[log] = len(lines)

    def _end_of_journal(self) -> int:
        return self._platform.witness.file.stat().st_size


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None
