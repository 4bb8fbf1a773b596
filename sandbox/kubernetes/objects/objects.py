"""The store of the double: every API object, one growing resourceVersion, and the history for watches.

Objects are JSON dicts that never change once stored: a reader must not write to one. Every write is in SQLite before
anybody is told of it, so a server killed with -9 comes back with what clients saw. The history is kept in memory only:
after a restart a watch from an older version is `410 Expired`, as with the watch cache of a real API server.
"""

from __future__ import annotations

import asyncio
import copy
import json
import sqlite3
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.kubernetes.objects import statuses
from sandbox.kubernetes.objects.kinds import BY_PATH, Kind

Object = dict[str, Any]
HISTORY = 4096
STALE = "the object has been modified; please apply your changes to the latest version and try again"


@dataclass(frozen=True)
class Change:
    """One write: `before` is None for a new object, `after` is None for a removed one."""

    version: int
    kind: Kind
    before: Object | None
    after: Object | None

    @property
    def latest(self) -> Object:
        """The object as it is now; a removed one as it was last."""
        latest = self.after or self.before
        assert latest is not None
        return latest


def now() -> str:
    """The present time as metav1.Time writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Objects:
    """The store. Each method is one atomic act, because all run in the event loop's thread."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        # Without fsync a killed process loses nothing; a killed machine loses the containers anyway.
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS objects (kind TEXT, namespace TEXT, name TEXT, version INTEGER,"
            " body TEXT, PRIMARY KEY (kind, namespace, name))"
        )
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS versions (one INTEGER PRIMARY KEY, version INTEGER)"
        )
        self._objects: dict[Kind, dict[tuple[str, str], Object]] = {k: {} for k in BY_PATH.values()}
        row = self._database.execute("SELECT version FROM versions").fetchone()
        self.version: int = row[0] if row else 1000
        for kind, body in self._database.execute("SELECT kind, body FROM objects"):
            group, version, plural = kind.split("|")
            stored = json.loads(body)
            self._objects[BY_PATH[group, version, plural]][_key(stored)] = stored
        self._history: deque[Change] = deque(maxlen=HISTORY)
        self._oldest = self.version
        self._listeners: set[asyncio.Queue[Change]] = set()

    def close(self) -> None:
        """Close the database file."""
        self._database.close()

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """The object; Refusal 404 when there is none."""
        found = self.find(kind, namespace, name)
        if found is None:
            raise statuses.not_found(kind.plural, kind.group, name)
        return found

    def find(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """The object, or None."""
        return self._objects[kind].get((namespace, name))

    def every(self, kind: Kind, namespace: str = "") -> Iterator[Object]:
        """All objects of a kind, in one namespace if it is named, in the order of their keys."""
        everything = self._objects[kind]
        for key in sorted(everything):
            if not namespace or key[0] == namespace:
                yield everything[key]

    def create(self, kind: Kind, new: Object) -> Object:
        """Store a new object under its namespace and name; Refusal 409 when the name is taken."""
        namespace, name = key = _key(new)
        if key in self._objects[kind]:
            raise statuses.already_exists(kind.plural, kind.group, name)
        new = copy.deepcopy(new)
        meta = new["metadata"]
        meta["uid"] = str(uuid.uuid4())
        meta["creationTimestamp"] = now()
        if "spec" in new:
            meta["generation"] = 1
        for stale in ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds"):
            meta.pop(stale, None)
        new = {"apiVersion": kind.api_version, "kind": kind.kind} | new
        return self._write(kind, (namespace, name), None, new)

    def update(
        self, kind: Kind, namespace: str, name: str, change: Callable[[Object], Object | None]
    ) -> Object:
        """Apply `change` to a copy of an object and store the result if it differs.

        `change` writes to the copy, or returns another object. Refusal 404 when there is no such object, 409 when the
        result has another resourceVersion or uid.
        """
        before = self.get(kind, namespace, name)
        after = copy.deepcopy(before)
        after = change(after) or after
        meta, old = after["metadata"], before["metadata"]
        if meta.get("resourceVersion") not in (None, "", old["resourceVersion"]):
            raise statuses.conflict(kind.plural, kind.group, name, STALE)
        if meta.get("uid", old["uid"]) != old["uid"]:
            why = f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {old['uid']}"
            raise statuses.conflict(kind.plural, kind.group, name, why)
        for fixed in ("resourceVersion", "uid", "creationTimestamp", "namespace", "name"):
            if fixed in old:
                meta[fixed] = old[fixed]
        changed = after.get("spec") != before.get("spec")
        if "generation" in old:
            meta["generation"] = old["generation"] + (1 if changed else 0)
        if after == before:
            return before
        return self._write(kind, (namespace, name), before, after)

    def remove(self, kind: Kind, namespace: str, name: str, uid: str | None = None) -> None:
        """Remove an object for good; nothing happens when it is gone, or when `uid` names another one."""
        before = self.find(kind, namespace, name)
        if before is not None and uid in (None, before["metadata"]["uid"]):
            self._write(kind, (namespace, name), before, None)

    def subscribe(self) -> asyncio.Queue[Change]:
        """A queue that gets every later change until `unsubscribe`."""
        queue: asyncio.Queue[Change] = asyncio.Queue()
        self._listeners.add(queue)
        return queue

    def unsubscribe(self, queue: asyncio.Queue[Change]) -> None:
        """End a subscription."""
        self._listeners.discard(queue)

    def since(self, version: int) -> list[Change]:
        """The changes after `version`; Refusal 410 when the history no longer has them all."""
        if version < self._oldest:
            raise statuses.expired(version, self._oldest)
        return [change for change in self._history if change.version > version]

    def _write(self, kind: Kind, key: tuple[str, str], before: Object | None, after: Object | None) -> Object:
        version = self.version + 1
        stored = copy.deepcopy(after if after is not None else before)
        assert stored is not None
        stored["metadata"]["resourceVersion"] = str(version)
        name = f"{kind.group}|{kind.version}|{kind.plural}"
        execute = self._database.execute
        execute("BEGIN IMMEDIATE")
        execute("INSERT OR REPLACE INTO versions VALUES (1, ?)", (version,))
        if after is None:
            execute("DELETE FROM objects WHERE kind=? AND namespace=? AND name=?", (name, *key))
        else:
            row = (name, *key, version, json.dumps(stored))
            execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)", row)
        execute("COMMIT")
        self.version = version
        if after is None:
            del self._objects[kind][key]
            change = Change(version, kind, stored, None)
        else:
            self._objects[kind][key] = stored
            change = Change(version, kind, before, stored)
        if len(self._history) == HISTORY:
            self._oldest = self._history[0].version
        self._history.append(change)
        for queue in self._listeners:
            queue.put_nowait(change)
        return stored


def _key(stored: Object) -> tuple[str, str]:
    return stored["metadata"].get("namespace", ""), stored["metadata"]["name"]
