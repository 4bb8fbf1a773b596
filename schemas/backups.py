"""What a backup has to hold: the manifest, as it was read in the dump's own snapshot; and the receipt of its proof."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from pydantic import Field

from schemas.wire import ResourceKey, Time, Wire


class Proof(StrEnum):
    """How a backup is proven."""

    READ = "read"  # its checksum is compared, it is read through, and its rows are counted
    RESTORED = (
        "restored"  # beyond that it is restored into a scratch database, and compared with its manifest
    )


class SequenceState(NamedTuple):
    """Where a sequence stands."""

    last: int
    is_called: bool
    """Whether `last` was given out already."""


class SequenceRange(Wire):
    """Where a sequence stood before a dump began and after it ended: no snapshot holds sequences."""

    before: SequenceState
    after: SequenceState


class LargeObjects(Wire):
    """The large objects of a database, all together."""

    count: int = 0
    digest: str = ""
    """SHA-256 over their ids and their contents; empty where there are none."""


class Expression(Wire):
    """An expression that the server writes from its parsed form: the text changes once when it is read again."""

    over: str
    """What stands behind FROM where the expression is read again; empty for a whole query."""
    text: str


class Schema(Wire):
    """The definitions in a database, by the names of what they define (`table public.people`)."""

    digest: str = ""
    """`sha256:...` over all definitions, in which expressions stand by their names alone."""
    objects: dict[str, str] = Field(default_factory=dict)
    """Name -> a digest of the definition without its expressions."""
    expressions: dict[str, Expression] = Field(default_factory=dict)


class Locale(Wire):
    """How a database writes and sorts text."""

    encoding: str
    provider: str
    """`c` (of the C library), `i` (ICU), or `b` (PostgreSQL's own)."""
    collate: str
    ctype: str
    locale: str | None = None
    """Of a provider other than the C library."""
    version: str | None = None


class Contents(Wire):
    """What is in a database at one moment."""

    rows: dict[str, int] = Field(default_factory=dict)
    """Table -> how many rows it has."""
    sequences: dict[str, SequenceRange] = Field(default_factory=dict)
    large_objects: LargeObjects = LargeObjects()
    definitions: Schema = Schema()
    extensions: dict[str, str] = Field(default_factory=dict)
    """Extension -> its version."""
    collations: dict[str, str | None] = Field(default_factory=dict)
    """Collation of the database's own -> the version with which its texts were sorted."""
    roles: tuple[str, ...] = ()
    """Roles that own something in the database, or have rights on something, sorted."""
    locale: Locale | None = None
    settings: dict[str, str] = Field(default_factory=dict)
    """`NAME` or `ROLE NAME` of `ALTER DATABASE SET` -> the value; a digest of it for a setting that PostgreSQL does not
    know: those may hold secrets."""
    grants: tuple[str, ...] = ()
    """Owner and rights on the database itself, as `ROLE=RIGHTS/GRANTOR`."""


class Manifest(Wire):
    """What a dump is of, and all that a restore of it has to bring back."""

    format: int = 1
    resource: ResourceKey
    server_version: int
    """`server_version_num` of the dumped server."""
    pg_dump: str
    """The version of the program that dumped, as it says it."""
    database_bytes: int
    """How big the database was."""
    size_bytes: int
    """Of the dump."""
    sha256: str
    """Of the dump."""
    taken_at: Time
    contents: Contents


class Receipt(Wire):
    """That a dump was proven: what was done, where, when and how long. It is bound to the dump's SHA-256."""

    sha256: str
    """Of the dump."""
    proof: Proof
    at: Time
    """When the proof ended."""
    seconds: float
    server: str = ""
    """The scratch server that it was restored on, as the administrators' file names it."""
    tables: int = 0
    rows: int = 0
