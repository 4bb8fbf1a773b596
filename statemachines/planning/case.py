"""The case that rules, warnings and the planner look at: one request, beside the catalog and the facts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from schemas.catalog.catalog import Catalog
from schemas.facts import DatabaseFact, Facts, MigrationsFact, RepositoryFact, Unreadable
from schemas.protection import Assurance, Word
from schemas.requests import ResetRequested
from schemas.wire import ResourceKey
from statemachines.planning.commands import Command, commands, written
from statemachines.planning.selection import Selection, quiesces, select
from statemachines.planning.words import consult


@dataclass(frozen=True)
class Case:
    """A request, the catalog and what is known of the world, with the commands that the request leads to."""

    request: ResetRequested
    catalog: Catalog
    facts: Facts
    selection: Selection
    commands: tuple[Command, ...]
    assurances: tuple[Assurance, ...] = ()
    """Words of people that complete the facts, and what each is taken to mean."""
    own_words: tuple[Word, ...] = ()
    """Words that would complete the facts, were they not of people who asked for the plan."""

    @classmethod
    def of(
        cls, request: ResetRequested, catalog: Catalog, facts: Facts, requesters: Iterable[str] = ()
    ) -> Case:
        """Make the case of one request, its facts completed by what people said. `requesters` joined the request."""
        selection = select(request, catalog)
        read = cls(request, catalog, facts, selection, commands(selection))
        consulted = consult(facts, catalog, read.touched(), (request.requested_by, *requesters))
        return replace(read, facts=consulted.facts, assurances=consulted.used, own_words=consulted.own)

    @property
    def environment(self) -> str:
        """The environment that is to be reset."""
        return self.request.environment

    @property
    def quiesces(self) -> bool:
        """Whether services are scaled to 0 while their databases are rebuilt."""
        return quiesces(self.selection, self.catalog)

    def database(self, service: str, database: str) -> DatabaseFact | None:
        """Find what is known of a database as that service reaches it. `database` is the catalog's name for it."""
        return next(
            (fact for fact in self.facts.databases if (fact.service, fact.database) == (service, database)),
            None,
        )

    def migrations(self, service: str, database: str) -> MigrationsFact | None:
        """Find the migrations that the service's image carries for that database."""
        return next(
            (fact for fact in self.facts.migrations if (fact.service, fact.database) == (service, database)),
            None,
        )

    def repositories(self) -> tuple[tuple[str, RepositoryFact | None], ...]:
        """List each repository of the catalog by its resolved name, with what is known of it."""
        known = {fact.repository: fact for fact in self.facts.repositories}
        names = (repository.name_for(self.environment) for repository in self.catalog.repositories)
        return tuple((name, known.get(name)) for name in dict.fromkeys(names))

    def touched(self) -> tuple[ResourceKey, ...]:
        """List the resources that the plan would change, sorted, as far as they are known."""
        keys = {fact.key for pair in written(self.commands) if (fact := self.database(*pair))}
        if self.selection.git:
            keys |= {fact.key for _, fact in self.repositories() if fact}
        return tuple(sorted(keys))

    def unreadable(self, service: str | None, subject: str | None = None) -> Unreadable | None:
        """Find why something of this environment could not be read, where the reader of the facts said why.

        `service` is None for what belongs to no service. Without a `subject` any subject of the service is meant.
        """
        for gap in self.facts.unreadable:
            mine = gap.environment == self.environment and gap.service == service
            if mine and subject in {None, gap.subject}:
                return gap
        return None
