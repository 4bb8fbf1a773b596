"""What the entries of a batch refer to: all that a store has to read before it can decide about them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from schemas.intake import DeadLetter, Deprovision, Entry, NewAct, NewRequest
from schemas.wire import ResetId

EventId = tuple[str, str]
"""A CloudEvent's source and id, which together name it."""


@dataclass(frozen=True)
class References:
    """What entries refer to, each thing once."""

    environments: frozenset[str]
    """Environments of requests and of deprovisionings; an act names its reset instead."""
    events: frozenset[EventId]
    """Events that the entries came as, and events whose reset an act names."""
    keys: frozenset[str]
    """Idempotency keys of requests, and those by which an act names its reset."""
    resets: frozenset[ResetId]
    """Resets that an act names by id."""


def references(entries: Sequence[Entry]) -> References:
    """Collect all that the entries refer to."""
    requests = [entry for entry in entries if isinstance(entry, NewRequest)]
    acts = [entry for entry in entries if isinstance(entry, NewAct)]
    own = {(entry.source, entry.event_id) for entry in entries if not isinstance(entry, DeadLetter)}
    named = {(act.request.source, act.request.id) for act in acts if act.request is not None}
    keys = [new.request.idempotency_key for new in requests] + [act.idempotency_key for act in acts]
    return References(
        environments=frozenset(
            [new.request.environment for new in requests]
            + [entry.environment for entry in entries if isinstance(entry, Deprovision)]
        ),
        events=frozenset({(source, event_id) for source, event_id in own if source and event_id} | named),
        keys=frozenset(_given(keys)),
        resets=frozenset(act.act.reset_id for act in acts if act.act.reset_id),
    )


def _given(values: Iterable[str | None]) -> Iterable[str]:
    return (value for value in values if value)
