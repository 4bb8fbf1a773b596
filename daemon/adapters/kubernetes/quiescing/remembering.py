"""What quiesced objects remember, as the port names it, and the patch that undoes it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from daemon.adapters.kubernetes.documents import Document
from daemon.adapters.kubernetes.quiescing.kinds import KINDS, QuiescedKind, with_metadata
from daemon.adapters.kubernetes.workloads.memory import (
    ANNOTATION,
    FORGET,
    Memory,
    UnreadableMemoryError,
    memory_of,
)
from daemon.ports.errors import PermanentError
from daemon.ports.quiescing import Quiesced
from schemas.quiescing import ObjectRef
from schemas.reasons import Reason
from schemas.wire import ResetId


def kind_of(target: ObjectRef) -> QuiescedKind:
    """Return what quiescing means for an object.

    Raises:
        PermanentError: `quiesce-refused`: it can't be kept at rest.
    """
    kind = KINDS.get(target.kind)
    if kind is None:
        raise PermanentError(
            Reason.QUIESCE_REFUSED,
            f"{target} can't be scaled to 0",
            hint="Give its pods to a Deployment, or take them away for the time of the reset.",
        )
    return kind


def remembered(target: ObjectRef, document: Document) -> Memory | None:
    """Return what an object remembers; None where it is not quiesced.

    Raises:
        PermanentError: `quiesce-refused`: a person has edited it.
    """
    try:
        return memory_of(document)
    except UnreadableMemoryError as error:
        raise PermanentError(
            Reason.QUIESCE_REFUSED,
            f"the annotation {ANNOTATION} of {target} can't be read",
            hint="Give the object the values that it should have, and remove the annotation.",
        ) from error


def quiesced_of(kind: QuiescedKind, target: ObjectRef, document: Document) -> Quiesced | None:
    """Return an object as the port names it; None where it is not quiesced. Raises as `remembered`."""
    memory = remembered(target, document)
    if memory is None:
        return None
    return Quiesced(
        object=target,
        version=str(document["metadata"]["resourceVersion"]),
        resets=tuple(memory.resets),
        original=kind.said(memory.original),
        uses=memory.uses,
        held=kind.rests(document),
        started_nothing=kind.started_nothing(memory.original),
        since=memory.since_when,
    )


def released(
    kind: QuiescedKind, document: Document, memory: Memory, resets: Collection[ResetId]
) -> dict[str, Any]:
    """Return the patch that takes resets off the list, and undoes the change with the last of them."""
    left = memory.without(resets)
    if left.resets:
        return {"metadata": left.to_patch()}
    undo = kind.to_undo(memory.original) if kind.rests(document) else {}
    return with_metadata(undo, FORGET)
