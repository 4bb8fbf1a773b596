"""What a quiesced object remembers in itself: what it was, who quiesced it, what its pods used.

It is one annotation, so that one change writes all of it together with the change that it is about. A label beside it
finds the object.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from schemas.wire import ResetId, ResourceKey

ANNOTATION = "resetd.fuse.io/quiesced"
LABEL = "resetd.fuse.io/quiesced"
"""Its value is `true`."""


@dataclass(frozen=True)
class Memory:
    """The annotation, read."""

    original: Mapping[str, Any]
    resets: Mapping[ResetId, int]
    """Who quiesced it, in their order -> the number of the reset's last status when it did."""
    uses: tuple[ResourceKey, ...] = ()
    variables: str = ""
    """Equal for templates whose pods get equal variables: `uses` is true of no others."""
    since: str = ""
    """When it was quiesced first, as RFC 3339; empty where that is not remembered."""

    @property
    def since_when(self) -> datetime | None:
        """When it was quiesced first; None where the annotation does not say it in a form that can be read."""
        try:
            return datetime.fromisoformat(self.since)
        except ValueError:
            return None

    def joined(self, reset_id: ResetId, status: int, uses: Collection[ResourceKey]) -> Memory:
        """The same with one more reset; what was remembered of the object stays."""
        resets = {**self.resets, reset_id: max(status, self.resets.get(reset_id, 0))}
        return replace(self, resets=resets, uses=tuple(sorted({*self.uses, *uses})))

    def without(self, resets: Collection[ResetId]) -> Memory:
        """The same without these resets."""
        return replace(self, resets={each: at for each, at in self.resets.items() if each not in resets})

    def to_patch(self) -> dict[str, Any]:
        """The patch of the metadata. Each one is new, so that each write changes the object's version."""
        text = {
            "original": self.original,
            "resets": self.resets,
            "uses": self.uses,
            "variables": self.variables,
            "since": self.since,
            "write": str(uuid4()),
        }
        return {"annotations": {ANNOTATION: json.dumps(text)}, "labels": {LABEL: "true"}}


FORGET: Mapping[str, Any] = {"annotations": {ANNOTATION: None}, "labels": {LABEL: None}}
"""The patch of the metadata that removes annotation and label."""


class UnreadableMemoryError(ValueError):
    """Somebody has edited the annotation: what the object was is not known."""


def memory_of(document: Mapping[str, Any]) -> Memory | None:
    """Read the annotation of an object; None where there is none. Raises as `read_memory`."""
    return read_memory((document.get("metadata") or {}).get("annotations"))


def read_memory(annotations: Mapping[str, str] | None) -> Memory | None:
    """Read the annotation; None where there is none.

    Raises:
        UnreadableMemoryError: it can't be read.
    """
    text = (annotations or {}).get(ANNOTATION)
    if text is None:
        return None
    try:
        read = json.loads(text)
        original = read["original"]
        if not isinstance(original, dict):
            raise UnreadableMemoryError(text)
        return Memory(
            original,
            {ResetId(str(each)): int(at) for each, at in read["resets"].items()},
            tuple(ResourceKey(str(each)) for each in read.get("uses") or ()),
            str(read.get("variables") or ""),
            str(read.get("since") or ""),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableMemoryError(text) from error
