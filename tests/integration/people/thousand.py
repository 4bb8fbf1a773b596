"""A thousand events as a careless world sends them, and what has to come of each.

    200 unreadable   a dead letter each
    100 refused      a `rejected` status each
    200 duplicates   of events that could be read, many with other content: nothing comes of them
    500 valid        most of them dry runs, or joined to one that waits

They have places in time from 0 to 3, and are sent in three waves (`waves`): those that refer to an earlier one have a
later place, and the same key, so that Kafka keeps their order.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from typing import Any

from schemas.reasons import Reason
from schemas.requests import CANCEL_REQUESTED, RESET_REQUESTED, RESUME_REQUESTED

ENVIRONMENT = "qa-sandbox"
SOURCE = "/thousand"
WAVES = 3
DRY_RUNS = 200
REPEATED_KEYS = 30
CANCELLED_EARLY = 4
OTHERS_BUSINESS = 15
JOINED = 244
UNREADABLE, REFUSED, DUPLICATES, VALID = 200, 100, 200, 500

Headers = tuple[tuple[str, bytes | None], ...]
Data = dict[str, Any]


@dataclass(frozen=True)
class Sent:
    """One record, and what is expected of it."""

    place: float
    key: bytes | None
    value: bytes | None
    headers: Headers
    environments_topic: bool = False
    dead: Reason | None = None
    """Why it has to be a dead letter; None: it has not."""
    id: str | None = None
    """Of its event, where a reset of its own has to come of it."""
    ends: str | None = None
    """The state in which that reset has to end."""
    cause: Reason | None = None

    def same_bytes(self) -> tuple[bytes | None, bytes | None, Headers]:
        """What the broker has to keep and a dead letter to repeat."""
        return self.key, self.value, self.headers


def binary(place: float, event_id: str, data: Data, *, kind: str = RESET_REQUESTED, **more: Any) -> Sent:  # noqa: ANN401
    """A CloudEvent in binary mode, keyed by its environment."""
    headers = {
        "content-type": b"application/json",
        "ce_specversion": b"1.0",
        "ce_id": event_id.encode(),
        "ce_source": SOURCE.encode(),
        "ce_type": kind.encode(),
        "ce_time": datetime.now(UTC).isoformat().encode(),
    }
    key = str(data["environment"]).encode()
    return Sent(place, key, json.dumps(data).encode(), tuple(headers.items()), **more)


def structured(place: float, event_id: str, data: Data, **more: Any) -> Sent:  # noqa: ANN401
    """The same in structured mode, without a time of its own."""
    event = {"specversion": "1.0", "id": event_id, "source": SOURCE, "type": RESET_REQUESTED, "data": data}
    key = str(data["environment"]).encode()
    headers: Headers = (("content-type", b"application/cloudevents+json; charset=utf-8"),)
    return Sent(place, key, json.dumps(event).encode(), headers, **more)


def wanted(**data: Any) -> dict[str, Any]:  # noqa: ANN401
    """Data of a request for the environment."""
    return {"environment": ENVIRONMENT, "requestedBy": "tests", **data}


class World:
    """Makes the events; one seed makes the same thousand, but for times."""

    def __init__(self, seed: int = 1000) -> None:
        self._random = random.Random(seed)  # noqa: S311 - guards nothing
        self._later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        self.joiners = [f"joiner-{number}" for number in range(JOINED)]

    def events(self) -> list[Sent]:
        """All of them, in the order of their places."""
        valid = list(self._valid())
        refused = list(self._refused([one for one in valid if one.id and one.id.startswith("keyed-")]))
        duplicates = list(self._duplicates(valid + refused))
        unreadable = list(self._unreadable())
        assert [len(each) for each in (unreadable, refused, duplicates, valid)] == [
            UNREADABLE,
            REFUSED,
            DUPLICATES,
            VALID,
        ]
        return sorted(valid + refused + duplicates + unreadable, key=lambda one: one.place)

    def _anywhere(self, after: float = 0.001, before: float = WAVES - 0.01) -> float:
        return self._random.uniform(after, before)

    def _valid(self) -> Iterator[Sent]:
        yield binary(0.0, "anchor", self._anchor("anchor"), id="anchor", ends="cancelled")
        for number, person in enumerate(self.joiners):
            yield binary(self._anywhere(), f"join-{number}", self._anchor(person))
        cancel = {
            "environment": ENVIRONMENT,
            "requestedBy": "tests",
            "request": {"source": SOURCE, "id": "anchor"},
        }
        yield binary(WAVES - 0.001, "cancel-anchor", cancel, kind=CANCEL_REQUESTED)
        real = wanted(mode="seed", services=["sequence-builder-api"], git=False)
        yield binary(self._anywhere(), "real", real, id="real", ends="done")
        yield from self._dry_runs()
        for number in range(CANCELLED_EARLY):
            key = f"early-{number}"
            asked = wanted(notBefore=self._later, idempotencyKey=key, reason=key)
            cancel = {"environment": ENVIRONMENT, "requestedBy": "tests", "idempotencyKey": key}
            place = self._anywhere()
            yield binary(place, f"cancel-{key}", cancel, kind=CANCEL_REQUESTED)
            yield binary(self._anywhere(place), key, asked, id=key, ends="cancelled")
        for number in range(OTHERS_BUSINESS):
            kind = ("com.fuse.environment.renamed.v1", "com.fuse.invoice.paid.v1")[number % 2]
            yield binary(
                self._anywhere(),
                f"other-{number}",
                {"environment": ENVIRONMENT},
                kind=kind,
                environments_topic=True,
            )

    def _anchor(self, person: str) -> dict[str, Any]:
        return wanted(mode="seed", services=["ui-builder-api"], notBefore=self._later) | {
            "requestedBy": person
        }

    def _dry_runs(self) -> Iterator[Sent]:
        modes = cycle(["refresh", "seed", "wipe"])
        subsets = cycle([None, ["ui-builder-api"], ["los-integrations", "workflow-api"], None])
        for number in range(DRY_RUNS):
            data = wanted(mode=next(modes), dryRun=True, reason=f"dry run {number}")
            if subset := next(subsets):
                data["services"] = subset
            make = (binary, structured)[number % 2]
            place = self._anywhere()
            if number >= REPEATED_KEYS:
                yield make(place, f"dry-{number}", data, id=f"dry-{number}", ends="planned")
                continue
            data["idempotencyKey"] = f"key-{number}"
            yield make(place, f"keyed-{number}", data, id=f"keyed-{number}", ends="planned")
            again = data | {"requestedBy": "somebody else"}
            yield binary(self._anywhere(place), f"again-{number}", again)

    def _refused(self, keyed: Sequence[Sent]) -> Iterator[Sent]:
        for number, (data, cause) in enumerate(islice(cycle(_REFUSED), REFUSED)):
            event_id = f"refused-{number}"
            place = self._anywhere()
            told = wanted(reason=event_id) | data
            if cause is Reason.IDEMPOTENCY_CONFLICT:
                first = keyed[number % len(keyed)]
                place = self._anywhere(first.place)
                told["idempotencyKey"] = f"key-{(first.id or '').removeprefix('keyed-')}"
            if told["requestedBy"] is None:
                del told["requestedBy"]
            one = binary(place, event_id, told, id=event_id, ends="rejected", cause=cause)
            if cause is Reason.TOO_OLD:
                old = (datetime.now(UTC) - timedelta(hours=25)).isoformat().encode()
                one = replace(one, headers=tuple((n, old if n == "ce_time" else v) for n, v in one.headers))
            yield one

    def _duplicates(self, readable: Sequence[Sent]) -> Iterator[Sent]:
        chosen = self._random.sample([one for one in readable if one.id != "anchor"], DUPLICATES)
        for number, one in enumerate(chosen):
            same = replace(one, place=self._anywhere(one.place), id=None, ends=None, cause=None)
            if number % 2 and dict(same.headers).get("ce_type") == RESET_REQUESTED.encode():
                # What is asked for under the id of an event that was handled is not even looked at.
                same = replace(same, value=json.dumps(wanted(mode="wipe", reason=f"twice {number}")).encode())
            yield same

    def _unreadable(self) -> Iterator[Sent]:
        for number, (make, reason) in enumerate(islice(cycle(_UNREADABLE), UNREADABLE)):
            yield replace(make(self, self._anywhere(), f"dead-{number}"), dead=reason)

    def garbage(self, size: int) -> bytes:
        """Random bytes."""
        return self._random.randbytes(size)


def waves(events: Sequence[Sent]) -> Iterator[list[Sent]]:
    """The events in three parts."""
    for number in range(WAVES):
        yield [one for one in events if number <= one.place < number + 1]


_REFUSED: tuple[tuple[Data, Reason], ...] = (
    ({"argv": ["rm", "-rf", "/"]}, Reason.SCHEMA_VIOLATION),
    ({"environment": "nobody-sandbox"}, Reason.UNKNOWN_ENVIRONMENT),
    ({"services": ["los-core-api; rm -rf /"]}, Reason.UNKNOWN_SERVICE),
    ({"environment": "qa-production", "options": ["mock"]}, Reason.MOCK_IN_PRODUCTION),
    ({}, Reason.TOO_OLD),
    ({"mode": "obliterate"}, Reason.SCHEMA_VIOLATION),
    ({"services": "los-core-api"}, Reason.SCHEMA_VIOLATION),
    ({"integrations": ["plaid$(reboot)"]}, Reason.SCHEMA_VIOLATION),
    ({"requestedBy": None}, Reason.SCHEMA_VIOLATION),
    ({"mode": "wipe", "services": ["data-builder-api"], "core": True}, Reason.CORE_WIPE_WITHOUT_LOS_CORE),
    ({"mode": "wipe", "options": ["keep-user-data"]}, Reason.OPTION_CONTRADICTS_MODE),
    ({"options": ["drop-everything"]}, Reason.SCHEMA_VIOLATION),
    ({"environment": "../../etc-sandbox"}, Reason.UNKNOWN_ENVIRONMENT),
    ({"environment": "QA-Sandbox"}, Reason.UNKNOWN_KIND),
    ({"notBefore": "tomorrow"}, Reason.SCHEMA_VIOLATION),
    ({"idempotencyKey": "", "mode": "seed"}, Reason.IDEMPOTENCY_CONFLICT),
    ({"idempotencyKey": "a\nb"}, Reason.SCHEMA_VIOLATION),
)


def _raw(value: bytes | None, **headers: bytes | None) -> Callable[[World, float, str], Sent]:
    """A well-formed event's headers over any value; `ce_x=None` leaves that header out."""

    def make(_: World, place: float, event_id: str) -> Sent:
        whole = dict(binary(place, event_id, wanted()).headers) | {
            name.replace("content_type", "content-type"): told for name, told in headers.items()
        }
        kept = tuple((name, told) for name, told in whole.items() if told is not None)
        return Sent(place, ENVIRONMENT.encode(), value, kept)

    return make


def _of(data: object, **headers: bytes | None) -> Callable[[World, float, str], Sent]:
    return _raw(json.dumps(data).encode(), **headers)


def _garbage(world: World, place: float, event_id: str) -> Sent:
    blank: Headers = (("", None), ("a", b"\x00\xff"), ("a", b"again"), ("n", event_id.encode()))
    return Sent(place, world.garbage(9), world.garbage(300), blank)


def _bare(world: World, place: float, event_id: str) -> Sent:
    return Sent(place, None, event_id.encode() + world.garbage(20), ())


def _nothing(_: World, place: float, event_id: str) -> Sent:
    return Sent(place, None, None, (("n", event_id.encode()),))


def _broken_envelope(_: World, place: float, event_id: str) -> Sent:
    whole = structured(place, event_id, wanted())
    return replace(whole, value=(whole.value or b"")[:-7])


def _batched(_: World, place: float, event_id: str) -> Sent:
    whole = structured(place, event_id, wanted())
    return replace(
        whole,
        value=b"[" + (whole.value or b"") + b"]",
        headers=(("content-type", b"application/cloudevents-batch+json"),),
    )


def _huge(world: World, place: float, event_id: str) -> Sent:
    sized = binary(place, event_id, wanted(reason="x" * (256 * 1024)))
    return replace(sized, key=world.garbage(4))


_UNREADABLE: tuple[tuple[Callable[[World, float, str], Sent], Reason], ...] = (
    (_raw(b'{"environment": "qa-sandbox"'), Reason.MALFORMED_JSON),
    (_raw(b"\xff\xfe{}"), Reason.MALFORMED_JSON),
    (_raw(b"[" * 5000), Reason.MALFORMED_JSON),
    (_raw(b""), Reason.MALFORMED_JSON),
    (_broken_envelope, Reason.MALFORMED_JSON),
    (_garbage, Reason.NOT_A_CLOUD_EVENT),
    (_bare, Reason.NOT_A_CLOUD_EVENT),
    (_nothing, Reason.NOT_A_CLOUD_EVENT),
    (_raw(None), Reason.NOT_A_CLOUD_EVENT),
    (_batched, Reason.NOT_A_CLOUD_EVENT),
    (_of(wanted(), ce_id=None), Reason.NOT_A_CLOUD_EVENT),
    (_of(wanted(), ce_source=None), Reason.NOT_A_CLOUD_EVENT),
    (_of(wanted(), ce_type=None), Reason.NOT_A_CLOUD_EVENT),
    (_of(wanted(), ce_specversion=None), Reason.NOT_A_CLOUD_EVENT),
    (_of(wanted(), ce_specversion=b"0.3"), Reason.NOT_A_CLOUD_EVENT),
    (_of(wanted(), ce_type=b"com.fuse.environment.reset.approve-requested.v1"), Reason.UNKNOWN_TYPE),
    (_of(wanted(), ce_type=b"com.fuse.environment.provisioned.v1"), Reason.UNKNOWN_TYPE),
    (_of(wanted(), ce_type=RESUME_REQUESTED.encode()), Reason.SCHEMA_VIOLATION),
    (_of([1, 2]), Reason.ENVIRONMENT_MISSING),
    (_of({"environment": 7, "requestedBy": "tests"}), Reason.ENVIRONMENT_MISSING),
    (_of({"requestedBy": "tests"}), Reason.ENVIRONMENT_MISSING),
    (_of({"environment": "a\u0000b", "requestedBy": "tests"}), Reason.ENVIRONMENT_MISSING),
    (_huge, Reason.TOO_LARGE),
)
