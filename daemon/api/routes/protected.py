"""What counts as protected, and people's words about it.

A word fills what can't be read of a protected environment; it never lifts what is seen. Who gives one is known by a
token, and a plan never relies on a word of those who asked for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import structlog
from fastapi import APIRouter, Query

from daemon.api.authentication import WHOAMI, Caller, require
from daemon.api.context import ApiContext, Context
from daemon.api.problems import ProblemError
from daemon.api.protected_names import check_environment, check_uses
from daemon.api.protected_words import (
    LIST_HINT,
    WordAsked,
    audit_entry,
    audit_refused_word,
    check_remembered,
    check_scope,
    end_of,
    scope_of,
    uses_of,
)
from schemas.api import ConfirmBody, ForgetBody, ProtectedBody, ProtectedEntry, Role
from schemas.audit import AuditAction
from schemas.protection import KeptWord, RememberedUse, Scope, Word, WordKind
from schemas.reasons import Reason
from schemas.wire import ResourceKey, kind_of
from statemachines.planning.gaps import databases_of
from statemachines.planning.words import forgets, seen_since

_log = structlog.stdlib.get_logger(__name__)
router = APIRouter(tags=["protected"])


@router.get("/protected")
async def list_protected(
    context: Context,
    caller: Caller,
    environment: str | None = None,
    ended: Annotated[bool, Query(description="words that ended, too")] = False,
) -> tuple[ProtectedBody, ...]:
    """List what is remembered of protected environments, then people's words about them, oldest first.

    What `confirm` and `forget` take is an entry's `id`, or `ENV`, `ENV/SERVICE`, `ENV/SERVICE/DATABASE`, `ENV/KEY`.
    """
    require(caller, Role.VIEWER, environment)
    now = context.clock.now()
    words = await context.store.words(now=now, ended=ended)
    remembered = await context.store.protected()
    in_force = [word for word in words if word.withdrawn_at is None and word.expires_at > now]
    bodies = [
        *(_use(use, in_force) for use in remembered),
        *(
            _word(word, in_force=word in in_force, seen=_seen_since(context, word, remembered))
            for word in words
        ),
    ]
    return tuple(
        body for body in bodies if caller.sees(body.environment) and environment in {None, body.environment}
    )


@router.post("/protected/{subject:path}/confirm", status_code=201)
async def confirm(subject: str, sent: ConfirmBody, context: Context, caller: Caller) -> ProtectedBody:
    """Say which databases a protected environment uses, or a part of it that can't be read, until the word expires.

    Needs the role `approver` or `admin` in that environment. It lets resets of others go on that would be refused as
    `sharing-unknown`; their plans show the word. Without `uses`, what is remembered still holds: each database of each
    service that the scope names has to be. The word ends for a database of a service once that is seen again.
    """
    asked = WordAsked(AuditAction.CONFIRM, subject, sent)
    async with audit_refused_word(context, caller, asked):
        scope = _checked_scope(context, caller, asked)
        uses = uses_of(scope, sent)
        remembered = await context.store.protected()
        await check_environment(context, scope, remembered)
        if uses is None:
            words = await context.store.words(now=context.clock.now())
            counting = [use for use in remembered if not any(forgets(word, use) for word in words)]
            check_remembered(context.catalog, scope, counting)
        else:
            await check_uses(context, caller, scope, sent, remembered)
        return await _give(context, caller, asked, scope, uses)


@router.post("/protected/{subject:path}/forget", status_code=201)
async def forget(subject: str, sent: ForgetBody, context: Context, caller: Caller) -> ProtectedBody:
    """Say that what is remembered of a protected environment is true no more, or take a word back by its id.

    Needs the role `approver` or `admin` in that environment. What is seen again is remembered again.
    """
    asked = WordAsked(AuditAction.FORGET, subject, sent)
    async with audit_refused_word(context, caller, asked):
        if (word := await _word_in_force(context, caller, subject)) is not None:
            return await _take_back(context, caller, asked, word)
        scope = _checked_scope(context, caller, asked)
        if not any(scope.includes(use) for use in await context.store.protected()):
            detail = f"nothing is remembered of {scope.text}"
            raise ProblemError(Reason.NOTHING_REMEMBERED, detail, hint=LIST_HINT)
        return await _give(context, caller, asked, scope, None)


def _checked_scope(context: ApiContext, caller: Caller, asked: WordAsked) -> Scope:
    """Read the scope. The caller's rights to it are checked before anything about it is told."""
    scope = scope_of(asked)
    _require(caller, scope.environment)
    check_scope(context.catalog, scope)
    return scope


def _require(caller: Caller, environment: str) -> None:
    if not (caller.may(Role.APPROVER, environment) or caller.may(Role.ADMIN, environment)):
        detail = f"{caller.subject} has neither the role approver nor admin in {environment}"
        raise ProblemError(Reason.FORBIDDEN, detail, hint=WHOAMI)


async def _give(
    context: ApiContext, caller: Caller, asked: WordAsked, scope: Scope, uses: tuple[ResourceKey, ...] | None
) -> ProtectedBody:
    now = context.clock.now()
    word = Word(
        id=str(context.new_id()),
        kind=WordKind.CONFIRM if asked.action is AuditAction.CONFIRM else WordKind.FORGET,
        scope=scope,
        uses=uses,
        reason=asked.body.reason,
        given_by=caller.subject,
        given_at=now,
        expires_at=end_of(asked.body, now),
    )
    await context.refuse_restored_state()
    facts = {"word": word.id, "expiresAt": word.expires_at.isoformat()}
    await context.store.give_word(word, audit_entry(asked, caller, scope.environment, now, facts=facts))
    await _log.ainfo(
        "protected.word-given", word=word.id, kind=word.kind.value, scope=scope.text, by=caller.subject
    )
    return _word(KeptWord(**dict(word)), in_force=True)


async def _word_in_force(context: ApiContext, caller: Caller, word_id: str) -> KeptWord | None:
    """Find a word in force by its id, among those of environments that the token is for."""
    words = await context.store.words(now=context.clock.now())
    return next((word for word in words if word.id == word_id and caller.sees(word.scope.environment)), None)


async def _take_back(context: ApiContext, caller: Caller, asked: WordAsked, word: KeptWord) -> ProtectedBody:
    environment, now = word.scope.environment, context.clock.now()
    _require(caller, environment)
    if asked.body.expires_at is not None:
        raise ProblemError(Reason.SCHEMA_VIOLATION, "a word is taken back for good: leave expiresAt out")
    await context.refuse_restored_state()
    facts = {"word": word.id, "scope": word.scope.text}
    entry = audit_entry(asked, caller, environment, now, action=AuditAction.WITHDRAW, facts=facts)
    if not await context.store.withdraw_word(word.id, caller.subject, entry, now=now):
        raise ProblemError(Reason.UNKNOWN_PROTECTED, f"the word {word.id} has ended", hint=LIST_HINT)
    await _log.ainfo("protected.word-withdrawn", word=word.id, scope=word.scope.text, by=caller.subject)
    taken = word.model_copy(update={"withdrawn_at": now, "withdrawn_by": caller.subject})
    return _word(taken, in_force=False)


def _use(use: RememberedUse, words: Sequence[KeptWord]) -> ProtectedBody:
    forgotten = any(forgets(word, use) for word in words)
    return ProtectedBody(
        id=Scope(environment=use.environment, key=use.key).text,
        what=ProtectedEntry.FORGOTTEN if forgotten else ProtectedEntry.REMEMBERED,
        environment=use.environment,
        kind=kind_of(use.environment),
        service=use.service,
        database=use.database,
        key=use.key,
        first_seen_at=use.first_seen_at,
        last_seen_at=use.last_seen_at,
        in_force=not forgotten,
    )


def _seen_since(context: ApiContext, word: KeptWord, remembered: Sequence[RememberedUse]) -> tuple[str, ...]:
    if word.kind is not WordKind.CONFIRM:
        return ()
    places = databases_of(word.scope, context.catalog)
    return tuple(
        f"{place.service}/{place.database}" for place in places if seen_since(word.word, place, remembered)
    )


def _word(word: KeptWord, *, in_force: bool, seen: tuple[str, ...] = ()) -> ProtectedBody:
    return ProtectedBody(
        id=word.id,
        what=ProtectedEntry(word.kind.value),
        environment=word.scope.environment,
        kind=kind_of(word.scope.environment),
        service=word.scope.service,
        database=word.scope.database,
        key=word.scope.key,
        scope=word.scope.text,
        uses=word.uses,
        seen_since=seen,
        given_by=word.given_by,
        given_at=word.given_at,
        expires_at=word.expires_at,
        reason=word.reason,
        withdrawn_at=word.withdrawn_at,
        withdrawn_by=word.withdrawn_by,
        in_force=in_force,
    )
