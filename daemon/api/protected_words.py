"""Reads and checks words about protected environments, and writes down those that are refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from daemon.api.context import ApiContext
from daemon.api.problems import ProblemError
from daemon.api.refusal_audit import audit_refused, chain_of
from daemon.api.tokens import Caller
from schemas.api import ConfirmBody, Pointer, Problem, WordBody
from schemas.audit import AuditAction, AuditEntry, Verdict
from schemas.catalog.catalog import Catalog
from schemas.protection import DATABASE_KEY, REPOSITORY_KEY, RememberedUse, Scope, is_database
from schemas.reasons import Reason
from schemas.resets import Channel
from schemas.wire import ResourceKey, kind_of
from statemachines.planning.gaps import databases_of
from statemachines.planning.protection import is_protected_kind

LIFETIME, LONGEST = timedelta(days=30), timedelta(days=90)
"""How long a word counts unless its expiry is given, and how long it counts at most."""
LIST_HINT = "`resetd protected list` shows what is remembered, and the words about it."
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_WORD_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LONGEST_SUBJECT = 500


@dataclass(frozen=True)
class WordAsked:
    """A word as a call asks for it, before anything of it is checked."""

    action: AuditAction
    subject: str
    body: WordBody

    @property
    def environment(self) -> str | None:
        """The environment that the subject names, where it can be one."""
        name = self.subject.partition("/")[0]
        return name if _NAMESPACE.fullmatch(name) else None


def audit_entry(
    asked: WordAsked,
    caller: Caller,
    environment: str | None,
    at: datetime,
    **changes: Any,  # noqa: ANN401 - fields
) -> AuditEntry:
    """Make the line of the audit for a word that was given.

    It is in the chain of the environment, or of the caller where the token is not for that environment.
    """
    facts = {"subject": asked.subject[:_LONGEST_SUBJECT]}
    if isinstance(asked.body, ConfirmBody) and asked.body.uses is not None:
        facts["uses"] = ", ".join(asked.body.uses)[:_LONGEST_SUBJECT]
        facts |= {"unseen": "yes"} if asked.body.unseen else {}
    entry = AuditEntry(
        chain=chain_of(caller, environment),
        at=at,
        action=asked.action,
        verdict=Verdict.APPLIED,
        actor=caller.subject,
        channel=Channel.HTTP.value,
        environment=environment,
        reason=asked.body.reason,
        facts=facts,
    )
    return entry.model_copy(update={**changes, "facts": facts | changes.get("facts", {})})


def audit_refused_word(
    context: ApiContext, caller: Caller, asked: WordAsked
) -> AbstractAsyncContextManager[None]:
    """Record the word in the audit when the block refuses it with a problem."""

    def line(problem: Problem, now: datetime) -> AuditEntry:
        refused = {"verdict": Verdict.REFUSED, "code": problem.code, "detail": problem.detail}
        return audit_entry(asked, caller, asked.environment, now, **refused)

    return audit_refused(context, caller, line)


def scope_of(asked: WordAsked) -> Scope:
    """Read what a word is about.

    Raises:
        ProblemError: `unknown-protected`: the text is no scope.
    """
    if _WORD_ID.fullmatch(asked.subject):
        detail = f"no word of the id {asked.subject} is in force"
        raise ProblemError(Reason.UNKNOWN_PROTECTED, detail, hint=LIST_HINT)
    if asked.subject.startswith((DATABASE_KEY, REPOSITORY_KEY)):
        detail = (
            f"whose use of {asked.subject[:_LONGEST_SUBJECT]}? Write ENV/{asked.subject[:_LONGEST_SUBJECT]}"
        )
        raise ProblemError(Reason.UNKNOWN_PROTECTED, detail, hint=LIST_HINT)
    try:
        scope = Scope.of_text(asked.subject)
    except ValueError as error:
        raise ProblemError(Reason.UNKNOWN_PROTECTED, str(error), hint=LIST_HINT) from error
    if asked.environment is None or len(asked.subject) > _LONGEST_SUBJECT:
        detail = "a scope begins with the name of an environment, and a word has another id"
        raise ProblemError(Reason.UNKNOWN_PROTECTED, detail, hint=LIST_HINT)
    return scope


def check_scope(catalog: Catalog, scope: Scope) -> None:
    """Check that the catalog knows what the scope names, and that the environment can be a protected one.

    Raises:
        ProblemError: `unknown-protected`, `unknown-service`.
    """
    kind = kind_of(scope.environment)
    if not is_protected_kind(kind, catalog):
        detail = f"{scope.environment} is of the kind {kind}, which is not protected"
        raise ProblemError(Reason.UNKNOWN_PROTECTED, detail, hint=LIST_HINT)
    if scope.service is None:
        return
    service = catalog.service(scope.service)
    if service is None:
        detail = f"there is no service {scope.service!r} in {catalog.name}"
        raise ProblemError(Reason.UNKNOWN_SERVICE, detail, hint=f"It has {', '.join(catalog.order)}.")
    if scope.database is not None and service.database(scope.database) is None:
        names = ", ".join(database.name for database in service.databases)
        detail = f"{scope.service} has no database {scope.database!r}"
        raise ProblemError(Reason.UNKNOWN_PROTECTED, detail, hint=f"It has {names}.")


def uses_of(scope: Scope, sent: ConfirmBody) -> tuple[ResourceKey, ...] | None:
    """Return what the scope uses as the word says it; None where that is what is remembered.

    Raises:
        ProblemError: `schema-violation`: something else than a database, or one outside of the scope.
    """
    if scope.key is not None and not is_database(scope.key):
        raise ProblemError(Reason.UNKNOWN_PROTECTED, f"{scope.key} is no database", hint=LIST_HINT)
    for at, key in enumerate(sent.uses or ()):
        wrong = None
        if not is_database(key):
            wrong = "a database is database/SYSTEM-IDENTIFIER/NAME, the identifier in digits"
        elif scope.key not in {None, key}:
            wrong = f"the word is about {scope.key} alone"
        if wrong:
            raise ProblemError(
                Reason.SCHEMA_VIOLATION, wrong, errors=(Pointer(pointer=f"/uses/{at}", detail=wrong),)
            )
    return None if sent.uses is None else tuple(sorted(set(sent.uses)))


def check_remembered(catalog: Catalog, scope: Scope, remembered: Sequence[RememberedUse]) -> None:
    """Check that memory says all that a word leaves to it: each database of each service that the scope names.

    Raises:
        ProblemError: `nothing-remembered`.
    """
    known = [use for use in remembered if scope.includes(use)]
    places = () if scope.key else databases_of(scope, catalog)
    missing = [place.text for place in places if not any(place.includes(use) for use in known)]
    if known and not missing:
        return
    hint = "Say which databases it uses (`--uses database/SYSTEM-IDENTIFIER/NAME`), or that it uses none (`--none`)"
    if known:
        hint += "; or give the word about those services alone whose databases are remembered"
    raise ProblemError(
        Reason.NOTHING_REMEMBERED,
        f"nothing is remembered of what {', '.join(missing) or scope.text} uses",
        hint=f"{hint}.",
    )


def end_of(sent: WordBody, now: datetime) -> datetime:
    """Return when a word ends.

    Raises:
        ProblemError: `schema-violation`: the past, or later than a word may end.
    """
    end = sent.expires_at or now + LIFETIME
    if now < end <= now + LONGEST:
        return end
    wrong = f"a word ends in the future, and after {LONGEST.days} days at most"
    raise ProblemError(Reason.SCHEMA_VIOLATION, wrong, errors=(Pointer(pointer="/expiresAt", detail=wrong),))
