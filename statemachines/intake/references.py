"""What the entries of a batch refer to: all that a store has to read before it can decide about them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from schemas.intake import DeadLetter, Deprovision, Entry, NewAct, NewRequest
from schemas.resets import Channel
from schemas.wire import ResetId

EventId = tuple[str, str]
"""A CloudEvent's source and id, which together name it."""


class ScopedKey(NamedTuple):
    """An idempotency key: a text that belongs to the channel and the environment that it is used for."""

    channel: Channel
    environment: str
    text: str


@dataclass(frozen=True)
class References:
    """What entries refer to, each thing once."""

    environments: frozenset[str]
    """Environments of requests and of deprovisionings; an act names its reset instead."""
    events: frozenset[EventId]
    """Events that the entries came as, and events whose reset an act names."""
    keys: frozenset[ScopedKey]
    """Idempotency keys of requests, and those by which an act names its reset."""
    resets: frozenset[ResetId]
    """Resets that an act names by id."""


def references(entries: Sequence[Entry]) -> References:
    """Collect all that the entries refer to."""
    requests = [entry for entry in entries if isinstance(entry, NewRequest)]
    acts = [entry for entry in entries if isinstance(entry, NewAct)]
    own = {(entry.source, entry.event_id) for entry in entries if not isinstance(entry, DeadLetter)}
    named = {(act.request.source, act.request.id) for act in acts if act.request is not None}
    keys = [*map(key_of, requests), *map(key_of, acts)]
    return References(
        environments=frozenset(
            [new.request.environment for new in requests]
            + [entry.environment for entry in entries if isinstance(entry, Deprovision)]
        ),
        events=frozenset({(source, event_id) for source, event_id in own if source and event_id} | named),
        keys=frozenset(key for key in keys if key is not None),
        resets=frozenset(act.act.reset_id for act in acts if act.act.reset_id),
    )


def key_of(entry: NewRequest | NewAct) -> ScopedKey | None:
    """Return the idempotency key of a request, or the one by which an act names its reset; None without one."""
    if isinstance(entry, NewRequest):
        channel, environment, text = entry.channel, entry.request.environment, entry.request.idempotency_key
    else:
        channel, environment, text = entry.act.channel, entry.environment, entry.idempotency_key
    return ScopedKey(channel, environment, text) if text else None
