"""Chooses when a protected environment can't be read, and what people say of it meanwhile. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from tests.torture.script.people import BEN, CLEO, EVE, OPERATOR
from tests.torture.script.script import Ask, Event, Gone, Outage, Say, Subject, Uses

PRODUCTION, BESIDE = "los-demo-production", "los-demo-sandbox"
"""The protected environment, and the one that is on its databases and its repository."""
PROTECTED = (PRODUCTION, BESIDE)
"""Environments whose resets need consent."""
DATABASES = {
    "los-integrations": "integrations",
    "sequence-builder-api": "sequence-builder",
    "ui-builder-api": "ui-builder",
    "workflow-api": "workflow-builder",
}
"""The services of the production that share their databases, each with the catalog's name of it."""
_ASKED_FROM = 0.5
"""Seconds after which requests come in such a round, so that what was said before matters to their plans."""


def outages(chance: random.Random, asks: Sequence[Ask]) -> tuple[list[Event], list[Ask]]:
    """Choose an outage of one of the production's services with what people say of it, and fit the requests to it."""
    service = chance.choice(list(DATABASES))
    asks = [replace(ask, at=ask.at + _ASKED_FROM) for ask in asks]
    if any(ask.environment == BESIDE and ask.readable for ask in asks) and chance.random() < 2 / 3:
        # What is asked for is what the production can't be asked about.
        asks = [
            replace(ask, services=(service,), options=()) if ask.environment == BESIDE else ask
            for ask in asks
        ]
    gone = chance.choice(tuple(Gone))
    return [Outage(0.0, PRODUCTION, service, gone), *_words(chance, service)], asks


def _words(chance: random.Random, service: str) -> list[Event]:
    kind = chance.random()
    word = _word(chance, service, chance.choice((BEN, CLEO)).subject)
    if kind < 1 / 8:
        return []
    if kind < 1 / 4:
        return [replace(word, by=chance.choice((OPERATOR, EVE)).subject)]
    if kind < 3 / 8:
        other = chance.choice([one for one in DATABASES if one != service])
        return [_word(chance, other, word.by)]
    if kind < 1 / 2:
        forget = replace(word, verb="forget", subject=chance.choice((Subject.SERVICE, Subject.KEY)))
        return [forget, replace(word, subject=Subject.SERVICE, uses=Uses.REMEMBERED)]
    if kind < 3 / 4:
        # It ends while resets wait that rely on it.
        short = chance.uniform(0.8, 4.0)
        ends = chance.random() < 1 / 2
        return [replace(word, lasts=short) if ends else replace(word, withdrawn_after=short)]
    return [word]


def _word(chance: random.Random, service: str, by: str) -> Say:
    return Say(
        at=chance.uniform(0.0, 0.2),
        by=by,
        verb="confirm",
        service=service,
        subject=chance.choice(tuple(Subject)),
        uses=chance.choice(tuple(Uses)),
        lasts=60.0,
    )
