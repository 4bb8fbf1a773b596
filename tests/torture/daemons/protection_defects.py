"""Ways to break what guards protected environments: consents, words, dumps after a stop, and the place of a command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from daemon.api import protected_words
from daemon.engine.pod_choice import PodChoice
from schemas.facts import Facts
from schemas.plan import PlannedStep
from schemas.protection import Word
from schemas.resets import Act, ActKind, Approval, Reset, StepState
from statemachines import act_effects, acts, consent, reset_update
from statemachines.planning import rules, words
from statemachines.planning.words import Consulted
from statemachines.refusals import Refusal
from statemachines.steps import accepts, launch_rights, resuming


def nobody_is_asked() -> None:
    """A reset lacks no consent, whoever gave one."""
    _instead(consent.lacks_consent, lambda _: False)
    _instead(consent.never_agreed, lambda _: False)


def consents_never_expire() -> None:
    """A consent is never too old."""
    _instead(consent.expired, lambda _, __: False)


def stops_end_no_consent() -> None:
    """A consent that was spent before a stop goes on to count."""

    def stopped(reset: Reset) -> Reset:
        return reset.model_copy(update={"stops": reset.stops + 1})

    _instead(reset_update._stopped, stopped)


def stops_end_no_dump() -> None:
    """A dump from before a stop goes on to count."""
    _instead(resuming._is_outdated, lambda *_: False)
    _instead(launch_rights._is_current, lambda _, step: step.state is StepState.SUCCEEDED)


def own_approvals_count() -> None:
    """Who asked for a reset may agree to it."""
    _instead(consent.known_requesters, lambda _: frozenset())


def rights_in_a_sandbox_are_enough() -> None:
    """Who approves in the reset's own environment approves for every other one that it touches."""
    _instead(consent.rights_needed, lambda _, reset: (reset.environment,))


def any_plan_is_approved() -> None:
    """An approval of one plan counts for every other one."""
    check = acts._approve

    def approve(act: Act, reset: Reset, *rest: Any) -> Refusal | None:  # noqa: ANN401 - passed on
        return check(act.model_copy(update={"plan_hash": reset.plan_hash}), reset, *rest)

    acts._CHECKS = {**acts._CHECKS, ActKind.APPROVE: approve}
    people = consent._people

    def counted(reset: Reset, approvals: Sequence[Approval]) -> tuple[str, ...]:
        present = {"plan_hash": reset.plan_hash}
        return people(reset, [each.model_copy(update=present) for each in approvals])

    consent._people = counted  # type: ignore[assignment]
    _instead(consent._of_present_plan, lambda _, approval: not approval.spent)


def accepting_runs_again() -> None:
    """What a person accepted runs once more."""

    def accepted(act: Act, snapshot: Any, now: Any) -> Any:  # noqa: ANN401 - passed on
        return act_effects._resume(act.model_copy(update={"step": None}), snapshot, now)

    act_effects._EFFECTS = {**act_effects._EFFECTS, ActKind.ACCEPT: accepted}


def one_accepts_alone() -> None:
    """One person's accept is enough, whoever asked for the reset."""
    _instead(accepts.accepts_required, lambda _, __: 1)


def own_words_count() -> None:
    """A plan may rely on the word of somebody who asked for it."""
    consult = words.consult

    def consulted(facts: Facts, catalog: Any, touched: Any, _: object) -> Consulted:  # noqa: ANN401 - passed on
        return consult(facts, catalog, touched, ())

    _instead(consult, consulted)


def memory_says_all() -> None:
    """A word that leaves it to memory counts also for what memory has not."""
    says = words._says

    def said(word: Word, *rest: Any) -> Any:  # noqa: ANN401 - passed on
        found = says(word, *rest)
        if found is None and word.uses is None:
            return says(word.model_copy(update={"uses": ()}), *rest)
        return found

    _instead(says, said)
    _instead(protected_words.check_remembered, lambda *_: None)


def the_unseen_is_nobody() -> None:
    """What can't be read of a production uses nothing."""
    rules.WORLD_RULES = tuple(rule for rule in rules.WORLD_RULES if rule is not rules.sharing_is_known)


def next_door() -> None:
    """A sandbox's commands run in its production's pods, which reach the same databases."""
    find = PodChoice.find

    async def found(self: PodChoice, step: PlannedStep) -> Any:  # noqa: ANN401 - passed on
        leased = self._leased
        environment = leased.reset.environment
        if not environment.startswith("los-demo-") or step.service is None:
            return await find(self, step)
        service = self.service(step)
        return await self._pods.choose("los-demo-production", service.selector_text, service.container)

    PodChoice.find = found  # type: ignore[method-assign]


PROTECTION_DEFECTS: Mapping[str, Callable[[], None]] = {
    "nobody-is-asked": nobody_is_asked,
    "consents-never-expire": consents_never_expire,
    "stops-end-no-consent": stops_end_no_consent,
    "stops-end-no-dump": stops_end_no_dump,
    "own-approvals-count": own_approvals_count,
    "rights-in-a-sandbox-are-enough": rights_in_a_sandbox_are_enough,
    "any-plan-is-approved": any_plan_is_approved,
    "accepting-runs-again": accepting_runs_again,
    "one-accepts-alone": one_accepts_alone,
    "own-words-count": own_words_count,
    "memory-says-all": memory_says_all,
    "the-unseen-is-nobody": the_unseen_is_nobody,
    "next-door": next_door,
}


def _instead(function: Callable[..., Any], other: Callable[..., Any]) -> None:
    """Put another function in the place of one, in every module that knows it.

    Raises:
        AssertionError: no module knows it.
    """
    name, places = function.__name__, 0
    for module in [each for key, each in sys.modules.items() if key.startswith(("daemon", "statemachines"))]:
        if getattr(module, name, None) is function:
            setattr(module, name, other)
            places += 1
    assert places, f"{name} is nowhere"
