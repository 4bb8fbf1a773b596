"""The evidence of one round: what was seen, without conclusions.

The API's answers and the status events are kept as JSON: they are what the daemon claims. Others saw all the rest: the
sandbox's journal, PostgreSQL's own log, the kubelet, GitHub, the disk.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.journal import Launch


@dataclass(frozen=True)
class Asked:
    """A request that the broker acknowledged or the API accepted (202).

    A request by Kafka has `tag` as its `requestedBy`; a request by HTTP has a known `reset_id`. `readable` False: bytes
    that no daemon can read, which have to become a dead letter.
    """

    tag: str
    environment: str
    reset_id: str | None = None
    readable: bool = True
    by: str = ""
    """The subject of the token that a request by HTTP came with."""


@dataclass(frozen=True)
class Acted:
    """An act that the API accepted (202) or the broker acknowledged; `at` is in seconds since 1970.

    `actor` is the subject of the token that it came with.
    """

    at: float
    reset_id: str
    kind: str
    step: str | None = None
    outcome: str | None = None
    actor: str = ""
    plan_hash: str | None = None
    """The plan that an approval names."""
    answered_at: float | None = None
    """When the answer came, or the call broke off: the daemon took the act before that, if it took it."""

    @property
    def taken_by(self) -> float:
        """The latest moment at which the daemon may have taken the act."""
        return self.at if self.answered_at is None else self.answered_at


@dataclass(frozen=True)
class Word:
    """A word about a protected environment that the API accepted (201), or may have (without an `id`).

    `kind` is `confirm` or `forget`. It is about the whole environment unless it names a service or a key. Times are in
    seconds since 1970; it counted no more from `expires_at`, and from `ended_at` on, when it had been taken back.
    """

    id: str | None
    kind: str
    by: str
    environment: str
    service: str | None = None
    key: str | None = None
    given_at: float = 0.0
    expires_at: float = math.inf
    ended_at: float = math.inf


@dataclass(frozen=True)
class Out:
    """A service of an environment that nobody could ask from `begun` until `over` (None: it is still so)."""

    environment: str
    service: str
    begun: float
    over: float | None = None


@dataclass(frozen=True)
class Told:
    """A status event as it was read."""

    event_id: str
    type: str
    value: bytes
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Session:
    """A database session of a launch, by PostgreSQL's log. `database` is `database/SYSTEM-IDENTIFIER/NAME`."""

    launch: int
    database: str


@dataclass(frozen=True)
class Dump:
    """A backup that the daemon recorded, and the digest of its file on the disk (None: there is no file)."""

    reset_id: str
    resource: str
    taken_at: float
    sha256: str
    proven: bool
    sha256_on_disk: str | None
    written_at: float | None = None
    """When the file on the disk was written last."""


@dataclass(frozen=True)
class Doubt:
    """An attempt that was called unknown, and what Kubernetes had of its container then, before a person resolved it.

    `container` is `running`, `terminated` or `gone`; `none` where nothing was launched in a pod.
    """

    attempt: str
    container: str


@dataclass(frozen=True)
class Evidence:
    """All evidence of one round, gathered after it came to rest and no command ran any more."""

    asked: tuple[Asked, ...] = ()
    acted: tuple[Acted, ...] = ()
    resets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The answers to `GET /resets/{id}`, by id."""
    plans: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The answers to `GET /resets/{id}/plan`, by id, for resets with a plan."""
    launches: tuple[Launch, ...] = ()
    """All processes that the journal saw during the round, nested ones included."""
    sessions: tuple[Session, ...] = ()
    told: tuple[Told, ...] = ()
    """The status events of the round's resets, in the order of their partitions, duplicates included."""
    dumps: tuple[Dump, ...] = ()
    dead_letters: tuple[str, ...] = ()
    """The tags of the dead letters that were read."""
    containers: frozenset[str] = frozenset()
    """The ids of the containers that run at the end of the round."""
    ended: frozenset[str] = frozenset()
    """The ids of the containers whose end their pods' statuses tell at the end of the round."""
    refs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The refs of each repository at the end."""
    roots: Mapping[str, str] = field(default_factory=dict)
    """The initial commit of each repository."""
    heads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The heads of each repository: where its branch began the round, and what was pushed since, oldest first."""
    doubts: tuple[Doubt, ...] = ()
    """The unknown outcomes as they were before a person's word or a later look replaced them."""
    crashes: tuple[str, ...] = ()
    """Crashes of drives and daemons, in words, one for each time: they ended in an error that they do not know."""
    words: tuple[Word, ...] = ()
    outages: tuple[Out, ...] = ()
    protected: Mapping[str, frozenset[tuple[str, str | None]]] = field(default_factory=dict)
    """What protected environments really use, by resource: the environments, each with the service that uses it."""
    former_plans: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Plans as they were seen on the way, by hash. One that was replaced at once may be missing."""
    approves_in: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Subject -> globs of the environments in which they are an approver; who is not here is one everywhere."""
    approval_ttl: float = math.inf
    """The seconds for which a consent may be used."""
    audit: tuple[Mapping[str, Any], ...] = ()
    """The answers to `GET /audit` since the round began."""
    stuck: tuple[str, ...] = ()
    """What did not come to rest in time, in words."""
