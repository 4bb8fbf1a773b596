"""What was seen in one round, and by whom. Nothing in here is anybody's conclusion.

The API's answers and the status events are kept as the JSON that they were: they are what the daemon claims. All
else was seen by others: the sandbox's journal, PostgreSQL's own log, the kubelet, GitHub, the disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.journal import Launch


@dataclass(frozen=True)
class Asked:
    """A request that was published and acknowledged by the broker, or accepted (202) by the API.

    `tag` stands in the request as who asked (`requestedBy`) where it came by Kafka; `reset_id` is known where it
    came by HTTP. `readable` False: bytes that no daemon can read, which have to become a dead letter.
    """

    tag: str
    environment: str
    reset_id: str | None = None
    readable: bool = True


@dataclass(frozen=True)
class Acted:
    """An act that the API took down (202), or that the broker has; `at` in seconds since 1970."""

    at: float
    reset_id: str
    kind: str
    step: str | None = None
    outcome: str | None = None


@dataclass(frozen=True)
class Told:
    """A status event as it was read, in the order of its partition."""

    event_id: str
    type: str
    value: bytes
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Session:
    """A session that a launch opened, by PostgreSQL's log. `database` is `database/SYSTEM-IDENTIFIER/NAME`."""

    launch: int
    database: str


@dataclass(frozen=True)
class Dump:
    """A backup that the daemon recorded, and what lies on the disk under that name (None: nothing)."""

    reset_id: str
    resource: str
    taken_at: float
    sha256: str
    proven: bool
    sha256_on_disk: str | None


@dataclass(frozen=True)
class Doubt:
    """An outcome called unknown, and what Kubernetes had of its container at that time, before a person said anything.

    `container`: `running`, `terminated`, `gone`, or `none` where nothing was to be launched in a pod.
    """

    attempt: str
    container: str


@dataclass(frozen=True)
class Evidence:
    """Of one round, collected after it came to rest, with no command running any more."""

    asked: tuple[Asked, ...] = ()
    acted: tuple[Acted, ...] = ()
    resets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """id -> `GET /resets/{id}`."""
    plans: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """id -> `GET /resets/{id}/plan`, for those that have one."""
    launches: tuple[Launch, ...] = ()
    """All processes that the journal saw in the round's time, nested ones too."""
    sessions: tuple[Session, ...] = ()
    told: tuple[Told, ...] = ()
    """Duplicates included."""
    dumps: tuple[Dump, ...] = ()
    dead_letters: tuple[str, ...] = ()
    """Tags of those that were read from the topic."""
    containers: frozenset[str] = frozenset()
    """Ids of the containers that run at the end of the round."""
    ended: frozenset[str] = frozenset()
    """Ids of those whose end their pods' statuses tell at that time."""
    refs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Repository -> its refs at the end."""
    roots: Mapping[str, str] = field(default_factory=dict)
    """Repository -> its initial commit."""
    heads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Repository -> where its branch was when the round began, and what was pushed since, oldest first."""
    doubts: tuple[Doubt, ...] = ()
    """A person's word, or a later look, takes the place of an unknown outcome: these are as they were before."""
    crashes: tuple[str, ...] = ()
    """Drives and whole daemons that ended in an error that the daemon's code does not know, in words; each time one."""
    stuck: tuple[str, ...] = ()
    """What did not come to rest in time, in words."""
