"""What is remembered of protected environments, and what people say about it: uses, scopes and words."""

from __future__ import annotations

import re
from enum import StrEnum

from schemas.wire import ResourceKey, ServiceName, Text, Time, Wire

DATABASE_KEY, REPOSITORY_KEY = "database/", "repository/"
"""How the keys of resources begin."""
_DATABASE = re.compile(r"database/[0-9]{1,20}/.{1,63}", re.DOTALL)


def is_database(key: str) -> bool:
    """Tell whether a key has the form of a database's: a server in ASCII digits, and a name that people can read."""
    return _DATABASE.fullmatch(key) is not None and key.isprintable()


class ProtectedUse(Wire):
    """A resource that a protected environment was seen to use."""

    environment: str
    service: ServiceName | None = None
    """The service whose pod reaches it; None for a repository, and where that was not kept."""
    database: str | None = None
    """The catalog's name of the database; None for a repository, and where that was not kept."""
    key: ResourceKey


class RememberedUse(ProtectedUse):
    """A use that is remembered. It counts until a person says otherwise."""

    first_seen_at: Time
    last_seen_at: Time


class Scope(Wire):
    """What a word is about: a protected environment, one service of it, one database of that service, or one resource.

    As text it is `ENV`, `ENV/SERVICE`, `ENV/SERVICE/DATABASE` (the catalog's name) or `ENV/KEY`.
    """

    environment: str
    service: ServiceName | None = None
    database: str | None = None
    key: ResourceKey | None = None

    @classmethod
    def of_text(cls, text: str) -> Scope:
        """Read a scope as it is written.

        Raises:
            ValueError: the text is no scope.
        """
        environment, slash, rest = text.partition("/")
        if rest.startswith((DATABASE_KEY, REPOSITORY_KEY)) and rest.count("/") >= 2:  # noqa: PLR2004 - KIND/OWNER/NAME
            return cls(environment=environment, key=ResourceKey(rest))
        service, second, database = rest.partition("/")
        wrong = "/" in database or not environment or (slash and not service) or (second and not database)
        if wrong:
            raise ValueError("a scope is ENV, ENV/SERVICE, ENV/SERVICE/DATABASE or ENV/KEY")
        return cls(
            environment=environment,
            service=ServiceName(service) if service else None,
            database=database or None,
        )

    @property
    def text(self) -> str:
        """Write the scope."""
        return "/".join(filter(None, (self.environment, self.key, self.service, self.database)))

    def includes(self, use: ProtectedUse) -> bool:
        """Tell whether the scope is about that use."""
        return (
            self.environment == use.environment
            and self.service in {None, use.service}
            and self.database in {None, use.database}
            and self.key in {None, use.key}
        )


class WordKind(StrEnum):
    """What a person says about a scope."""

    CONFIRM = "confirm"  # what can't be read of it uses what is said here
    FORGET = "forget"  # what is remembered of it is true no more


class Word(Wire):
    """A person's word about what can't be read, or is remembered, of a protected environment. It expires.

    A word fills what can't be read. It never lifts what is seen.
    """

    id: str
    """UUIDv7."""
    kind: WordKind
    scope: Scope
    uses: tuple[ResourceKey, ...] | None = None
    """For `confirm`: exactly the databases that the scope uses; None for those that are remembered of it."""
    reason: Text
    given_by: str
    """The subject of the token."""
    given_at: Time
    expires_at: Time


class Assurance(Word):
    """A word that a plan relies on, with what it is taken to mean."""

    remembered: tuple[ProtectedUse, ...] = ()
    """What memory says where the word has no list of its own: for `confirm` without `uses`, what still holds of all
    that can't be read; for `forget`, what is true no more."""


class KeptWord(Word):
    """A word, and whether somebody took it back."""

    withdrawn_at: Time | None = None
    withdrawn_by: str | None = None

    @property
    def word(self) -> Word:
        """Return the word alone."""
        return Word(**{name: getattr(self, name) for name in Word.model_fields})
