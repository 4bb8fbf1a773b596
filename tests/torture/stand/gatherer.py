"""Gathers the evidence of one round after another on one stand."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from sandbox import journal
from sandbox.polling import wait_until
from tests.torture.judge.evidence import Acted, Asked, Doubt, Dump, Evidence, Told
from tests.torture.judge.launches import seconds
from tests.torture.judge.state_order import AT_REST
from tests.torture.stand import witnesses
from tests.torture.stand.stand import Stand

_MAIN = "refs/heads/main"
_TOLD_WITHIN = 30.0
_ANSWERED_WITHIN = 30.0
_READ_WITHIN = 0.05
_LOOK_EVERY = 0.05


class Gatherer:
    """The witnesses of a stand; each round begins where the last one ended, so nothing falls between two."""

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

    def begin(self, repositories: Iterable[str]) -> None:
        """A round begins that may rewind these repositories."""
        self._heads = {}
        self._doubts = {}
        for one in repositories:
            head = asyncio.run(self._platform.github.head(one))
            self._heads[one] = [head]
            self._former[one] = frozenset(asyncio.run(self._platform.github.refs(one))) - {_MAIN}
            if one not in self._roots:
                self._roots[one] = self._objects(one).root(head)

    def pushed(self, repository: str, head: str) -> None:
        """Somebody pushed this, after whatever others pushed before."""
        refs = asyncio.run(self._platform.github.refs(repository))
        self._pushed_by_others(repository, {name: sha for name, sha in refs.items() if sha != head})
        self._heads[repository].append(head)

    def doubt(self, reset: Mapping[str, Any]) -> None:
        """Look what there is of attempts that are called unknown in a reset that stopped, each once."""
        if reset["state"] not in AT_REST:
            return
        for one in reset["attempts"]:
            if (one["outcome"] or {}).get("kind") == "unknown" and one["id"] not in self._doubts:
                self._doubts[one["id"]] = Doubt(one["id"], self._state_of(one["control"]))

    def _state_of(self, control: Mapping[str, Any] | None) -> str:
        if control is None:
            return "none"
        states = self._containers([control["environment"]])
        return next((state for state, ids in states.items() if control["containerId"] in ids), "gone")

    def journal(self) -> journal.Journal:
        """What was launched since the round began."""
        return journal.read(self._platform.witness.file, offset=self._offset)

    def gather(
        self,
        asked: Sequence[Asked],
        acted: Sequence[Acted],
        resets: Mapping[str, Mapping[str, Any]],
        stuck: Sequence[str],
    ) -> Evidence:
        """Everything about these resets; then the next round may begin."""
        told = self._read_status(resets)
        plans = {one: self._get(f"/resets/{one}/plan") for one in resets}
        launches = self.journal().launches
        containers = self._containers({launch.namespace for launch in launches})
        refs = {one: asyncio.run(self._platform.github.refs(one)) for one in self._heads}
        for repository in self._heads:
            self._pushed_by_others(repository, refs[repository])
        evidence = Evidence(
            asked=tuple(asked),
            acted=tuple(acted),
            resets=resets,
            plans={one: plan for one, plan in plans.items() if plan is not None},
            launches=launches,
            sessions=self._sessions.read(),
            told=told,
            dumps=tuple(dump for one in resets for dump in self._dumps(one)),
            dead_letters=self._read_dead_letters(frozenset(one.tag for one in asked if not one.readable)),
            containers=containers["running"],
            ended=containers["terminated"],
            refs=refs,
            roots=dict(self._roots),
            heads={one: tuple(heads) for one, heads in self._heads.items()},
            doubts=tuple(self._doubts.values()),
            crashes=tuple(self._crashes()),
            stuck=tuple(stuck),
        )
        self._offset = self._end_of_journal()
        self._sessions.skip()
        return evidence

    def close(self) -> None:
        """Let the topics go."""
        self._status.close()
        self._dead_letters.close()

    def _pushed_by_others(self, repository: str, refs: Mapping[str, str]) -> None:
        """What somebody pushed in a fault's name in this round, on top of a head that we know of."""
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
            found.extend((one.value() or b"").decode(errors="replace").removeprefix("{") for one in records)
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
        """What a daemon answers, as soon as one does: the last mishap may still be ahead of it."""
        until = time.monotonic() + _ANSWERED_WITHIN
        while True:
            try:
                return self._stand.get(path)
            except httpx.HTTPError:
                if time.monotonic() > until:
                    raise
                self._stand.look()
                time.sleep(_LOOK_EVERY)

    def _dumps(self, reset: str) -> Iterable[Dump]:
        for row in self._get(f"/backups?reset={reset}") or ():
            yield Dump(
                reset_id=row["resetId"],
                resource=row["resource"],
                taken_at=seconds(row["takenAt"]),
                sha256=row["sha256"],
                proven=row["proven"],
                sha256_on_disk=_sha256(self._stand.backups / row["path"]),
            )

    def _containers(self, environments: Iterable[str]) -> Mapping[str, frozenset[str]]:
        """What pods' statuses tell of which containers, the last ones of each included: `running`, `terminated`."""
        found: dict[str, set[str]] = {"running": set(), "terminated": set()}
        for environment in environments:
            for pod in asyncio.run(self._platform.cluster.pods(environment)):
                for one in (pod.get("status") or {}).get("containerStatuses") or ():
                    if "running" in one["state"]:
                        found["running"].add(one["containerID"])
                    for state in (one["state"], one.get("lastState") or {}):
                        if "terminated" in state:
                            found["terminated"].add(state["terminated"]["containerID"])
        return {state: frozenset(containers) for state, containers in found.items()}

    def _crashes(self) -> Iterator[str]:
        """What daemons died of, and what their logs say of drives, since they were asked last."""
        self._stand.look()
        yield from self._stand.crashes
        self._stand.crashes.clear()
        for log in (one.log for one in self._stand.daemons):
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
