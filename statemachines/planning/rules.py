"""The rules of planning: small functions, each of which yields its reasons to refuse a plan.

A rule reads a `Case` and nothing else. `REQUEST_RULES` read the request and the catalog alone. `WORLD_RULES` read the
facts as well, and are applied only where no rule of the first list refuses. A refusal has the reasons of all rules of
its list.

Over 300 lines: all rules side by side, in the order in which they are applied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from schemas.facts import Unreadable
from schemas.reasons import Reason
from schemas.requests import Mode, Option
from schemas.wire import ServiceName, kind_of
from statemachines.planning.backups import backups_can_be_taken_and_proven
from statemachines.planning.case import Case
from statemachines.planning.checks import launch_needs
from statemachines.planning.commands import verifications, written
from statemachines.planning.gaps import LOSSES_OF, SEED_OF
from statemachines.planning.protection import protection_of
from statemachines.planning.quiescing import (
    consumers_can_be_quiesced,
    holders_can_be_made,
    others_could_be_asked,
)
from statemachines.planning.repositories import repositories_are_identified, repositories_take_the_rewinding
from statemachines.planning.selection import CoreAction
from statemachines.planning.sessions import (
    databases_of,
    text,
    unknown_sessions,
    unread_sessions,
    why_shared,
)
from statemachines.planning.sharing import refusals
from statemachines.planning.wipes import (
    loss_text,
    seed_looked_for,
    seed_text,
    unknown_losses,
    wiped_by,
)
from statemachines.refusals import Refusal, Refused
from statemachines.steps.database_checks import nothing_carried

Rule = Callable[[Case], Iterator[Refused]]


def known_kind(case: Case) -> Iterator[Refused]:
    """The catalog must know the kind: an environment of any other kind could be a production by another name."""
    if kind_of(case.environment) not in case.catalog.kinds:
        kinds = ", ".join(case.catalog.kinds)
        yield Refused(Reason.UNKNOWN_KIND, f"the kind {kind_of(case.environment)!r} is none of {kinds}")


def known_services(case: Case) -> Iterator[Refused]:
    """Services must be the catalog's, also in `serviceModes`, which may name only services of the request."""
    named = dict.fromkeys((*(case.request.services or ()), *case.request.service_modes))
    for name in named:
        if case.catalog.service(name) is None:
            yield Refused(Reason.UNKNOWN_SERVICE, f"there is no service {name!r} in {case.catalog.name}")
        elif not case.selection.has(name):
            yield Refused(
                Reason.OPTION_WITHOUT_SERVICE, f"serviceModes names {name}, which services leaves out"
            )


def options_have_their_service(case: Case) -> Iterator[Refused]:
    """The service of an option must be in the plan: without it the option would silently do nothing."""
    for option in case.selection.options:
        owner = next((service.name for service in case.catalog.services if option in service.options), None)
        if owner is None:
            yield Refused(
                Reason.UNKNOWN_OPTION, f"no service of {case.catalog.name} has the option {option.value}"
            )
        elif not case.selection.has(owner):
            yield Refused(Reason.OPTION_WITHOUT_SERVICE, f"{option.value} belongs to {owner}")


def integrations_have_their_service(case: Case) -> Iterator[Refused]:
    """The service that seeds integrations must be in the plan where the request names some."""
    if not case.selection.integrations:
        return
    owner = next((service.name for service in case.catalog.services if service.integrations), None)
    if owner is None or not case.selection.has(owner):
        yield Refused(Reason.INTEGRATIONS_WITHOUT_SERVICE, f"integrations belong to {owner or 'no service'}")


def user_data_survives_no_wipe(case: Case) -> Iterator[Refused]:
    """A request that keeps user data must not wipe the service that has it: the mode would drop the data's tables."""
    if Option.KEEP_USER_DATA not in case.selection.options:
        return
    for service in case.selection.services:
        mode = case.selection.modes[ServiceName(service.name)]
        if Option.KEEP_USER_DATA in service.options and mode is Mode.WIPE:
            yield Refused(
                Reason.OPTION_CONTRADICTS_MODE, f"keep-user-data can't be kept by wiping {service.name}"
            )


def core_has_a_service(case: Case) -> Iterator[Refused]:
    """A request for core must include a service that has the core schema."""
    core = case.catalog.core
    if not case.request.core:
        return
    if core is None or not (case.selection.has(core.migrator) or case.selection.has(core.owner)):
        yield Refused(Reason.CORE_WITHOUT_SERVICE, "core was asked for without a service that has it")


def core_is_wiped_only_with_its_seed(case: Case) -> Iterator[Refused]:
    """The owner must be in the plan that wipes core: without its `seed:system` no role, permission or queue is left."""
    core = case.catalog.core
    if core and case.selection.core is CoreAction.WIPE and not case.selection.has(core.owner):
        yield Refused(Reason.CORE_WIPE_WITHOUT_LOS_CORE, f"{core.owner} has to be in the same reset")


def no_mock_in_production(case: Case) -> Iterator[Refused]:
    """Mock data must not reach an environment of a protected kind."""
    if Option.MOCK not in case.selection.options:
        return
    kind = case.catalog.kinds.get(kind_of(case.environment))
    if kind is not None and kind.protected:
        yield Refused(Reason.MOCK_IN_PRODUCTION, f"{case.environment} is of a protected kind")


def no_mock_in_shared_databases(case: Case) -> Iterator[Refused]:
    """Mock data must not reach a protected database, such as one that a sandbox shares with a production."""
    for command in case.commands:
        if "mock" not in command.entry.when:
            continue
        for database in command.databases:
            fact = case.database(command.service_name, database)
            because = fact and protection_of(fact.key, case.facts, case.catalog).because
            if fact is not None and because:
                yield Refused(Reason.MOCK_IN_PRODUCTION, f"{fact.name}: {because}")


def environment_exists(case: Case) -> Iterator[Refused]:
    """The environment's namespace must exist."""
    if not case.facts.exists:
        yield Refused(Reason.UNKNOWN_ENVIRONMENT, f"there is no namespace {case.environment}")


def services_run(case: Case) -> Iterator[Refused]:
    """Every service of the plan must have a running pod for its commands."""
    if not case.facts.exists:
        return
    present = {fact.service for fact in case.facts.services}
    for service in case.selection.services:
        if service.name not in present:
            missing = f"{case.environment} has no running pod of {service.name}"
            yield _unread(case.unreadable(service.name), Reason.SERVICE_MISSING, missing)


def databases_are_identified(case: Case) -> Iterator[Refused]:
    """Every database that a command writes to, or that a verification reads, must be identified."""
    present = {fact.service for fact in case.facts.services}
    read = tuple(
        (ServiceName(each.service.name), database)
        for each in verifications(case.selection)
        for database in each.databases
    )
    for service, database in dict.fromkeys((*written(case.commands), *(read if case.commands else ()))):
        if service in present and case.database(service, database) is None:
            why = case.unreadable(service, f"database {database}") or case.unreadable(service)
            detail = f"the database {database} of {service} could not be identified"
            yield _unread(why, Reason.DATABASE_UNIDENTIFIED, detail)


def wiped_images_show_migrations(case: Case) -> Iterator[Refused]:
    """An image must show migrations for each database that is wiped: without them the wipe would leave nothing."""
    present = {fact.service for fact in case.facts.services}
    for command in case.commands:
        for check in launch_needs(case, command):
            service, database = command.service_name, check.database
            if service not in present:
                continue
            fact = case.migrations(service, database)
            if fact is None:
                detail = f"the migrations of {service} for {database} could not be listed"
                yield _unread(
                    case.unreadable(service, f"migrations {database}"), Reason.MIGRATIONS_NOT_SHOWN, detail
                )
            elif not fact.ids:
                detail = f"{service}: {nothing_carried(check).detail}"
                yield Refused(Reason.MIGRATIONS_NOT_SHOWN, detail, by_rule=False)


def wipes_run_no_configured_seed(case: Case) -> Iterator[Refused]:
    """A command of a wipe must not seed what nobody asked for, such as the mock rows of package.json's seed."""
    found = {fact.step: fact for fact in case.facts.configured_seeds}
    for command in case.commands:
        looked = seed_looked_for(case.catalog, case.selection, case.commands, command)
        if fact := found.get(command.name):
            yield Refused(Reason.CONFIGURED_SEED, seed_text(fact.step, fact.detail), by_rule=False)
        elif looked and (why := case.unreadable(command.service_name, f"{SEED_OF}{command.name}")):
            detail = f"what {command.name} would seed could not be read"
            yield _unread(why, Reason.CONFIGURED_SEED, detail)


def wipes_lose_nothing_for_good(case: Case) -> Iterator[Refused]:
    """What a wipe takes from a database for good must be listed in the catalog: nothing brings it back."""
    for command in case.commands:
        for wiped in wiped_by(case, command):
            service, database = command.service_name, wiped.database
            fact, declared = case.database(service, database), command.service.database(database)
            assert fact is not None
            assert declared is not None
            if names := unknown_losses(declared, fact):
                yield Refused(Reason.LOST_BY_WIPE, loss_text(fact.name, names), by_rule=False)
            if why := case.unreadable(service, f"{LOSSES_OF}{database}"):
                detail = f"what a wipe of {fact.name} takes with it could not be read"
                yield _unread(why, Reason.LOST_BY_WIPE, detail)


def core_is_one_database(case: Case) -> Iterator[Refused]:
    """Both services must reach core in the same database, because it is migrated once for both."""
    core = case.catalog.core
    if core is None or case.selection.core is CoreAction.NONE:
        return
    both = (core.migrator, core.owner)
    facts = [case.database(name, core.database) for name in both if case.selection.has(name)]
    keys = {fact.key for fact in facts if fact is not None}
    if len(keys) > 1:
        detail = (
            f"{' and '.join(both)} reach different databases as {core.database}: {', '.join(sorted(keys))}"
        )
        yield Refused(Reason.DATABASE_MISMATCH, detail, by_rule=False)


def sharing_is_known(case: Case) -> Iterator[Refused]:
    """The users of every resource must be known: a protected service that could not be read might be one of them."""
    if not case.facts.exists:
        return
    yield from refusals(case.facts, case.catalog)
    for key in case.touched():
        if not case.facts.users.get(key):
            yield Refused(Reason.SHARING_UNKNOWN, f"nobody knows which environments use {key}")


def words_are_of_others(case: Case) -> Iterator[Refused]:
    """A plan must not rely on a word about a protected environment of somebody who asked for it."""
    if not case.facts.exists:
        return
    for word in case.own_words:
        detail = (
            f"{word.given_by} asked for this reset and gave the word to {word.kind.value} {word.scope.text}"
        )
        yield Refused(Reason.OWN_WORD, detail)


def sessions_are_known(case: Case) -> Iterator[Refused]:
    """Who is connected to a database that others may share must be known: it may be an environment that nobody sees."""
    for database in databases_of(case):
        because = why_shared(case, database)
        if because is None:
            continue
        for session in unknown_sessions(case, database):
            if not session.of_node:
                detail = f"{database.name} has a session of {text(session)}, and {because}"
                yield Refused(Reason.SESSIONS_UNKNOWN, detail, by_rule=False)
        if gap := unread_sessions(case, database):
            detail = f"the sessions in {database.name} could not be read, and {because}: {gap.detail}"
            yield Refused(Reason.SESSIONS_UNKNOWN, detail, temporary=gap.temporary, by_rule=False)


REQUEST_RULES: tuple[Rule, ...] = (
    known_kind,
    known_services,
    options_have_their_service,
    integrations_have_their_service,
    user_data_survives_no_wipe,
    core_has_a_service,
    core_is_wiped_only_with_its_seed,
    no_mock_in_production,
)
WORLD_RULES: tuple[Rule, ...] = (
    environment_exists,
    services_run,
    databases_are_identified,
    wiped_images_show_migrations,
    wipes_run_no_configured_seed,
    wipes_lose_nothing_for_good,
    core_is_one_database,
    repositories_are_identified,
    repositories_take_the_rewinding,
    words_are_of_others,
    backups_can_be_taken_and_proven,
    sharing_is_known,
    sessions_are_known,
    others_could_be_asked,
    consumers_can_be_quiesced,
    holders_can_be_made,
    no_mock_in_shared_databases,
)


def check_rules(case: Case) -> Refusal | None:
    """Return the refusal by any rule, or None. Rules that need facts are applied only to a request that is right."""
    return _refusal_by(case, REQUEST_RULES) or _refusal_by(case, WORLD_RULES)


def _refusal_by(case: Case, rules: tuple[Rule, ...]) -> Refusal | None:
    reasons = tuple(dict.fromkeys(refused for rule in rules for refused in rule(case)))
    return Refusal(reasons) if reasons else None


def _unread(why: Unreadable | None, reason: Reason, detail: str) -> Refused:
    if why is None:
        return Refused(reason, detail, by_rule=False)
    return Refused(why.reason, f"{detail}: {why.detail}", temporary=why.temporary, by_rule=False)
