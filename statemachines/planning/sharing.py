"""What nobody knows of who shares what: which gaps refuse a plan, and how people are told.

The planner refuses by it. The doctor and `resetd catalog check --cluster` tell by it before anybody asks for a plan.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from schemas.api import Finding, FindingLevel
from schemas.catalog.catalog import Catalog
from schemas.facts import Facts, Unreadable
from schemas.protection import Word
from schemas.reasons import Reason
from statemachines.planning.gaps import how_to_confirm, leaves_users_open
from statemachines.planning.namespaces import UNASKED, Standing, standing_of
from statemachines.planning.words import consult
from statemachines.refusals import Refused

CHECK = "sharing"
_PODS = "pods"
"""The subject of a gap whose service has no pod that can be asked."""


def refuses(gap: Unreadable) -> bool:
    """Tell whether a gap refuses every plan: a protected environment may use what the plan touches."""
    return not gap.answered_by and _hides_a_user(gap)


def _hides_a_user(gap: Unreadable) -> bool:
    return gap.protected and leaves_users_open(gap)


def is_unseen(gap: Unreadable) -> bool:
    """Tell whether no workload of a service is seen."""
    return gap.reason is Reason.SERVICE_UNSEEN and not gap.subject.startswith(UNASKED)


def findings(
    facts: Facts, namespaces: Collection[str], catalog: Catalog, *, beside: str | None = None
) -> Iterator[Finding]:
    """Yield for people what the planner would make of the facts, whoever asks for the plan.

    Args:
        facts: What is unknown and what people said of it. Words about single databases count for those of the facts.
        namespaces: Those that were looked into.
        catalog: What has to be seen.
        beside: The environment for which somebody looks. What is well with itself is left to other checks.
    """
    known = consult(facts, catalog, {each.key for each in facts.databases}, ()).facts
    words = {word.id: word for word in facts.words}
    for gap in known.unreadable:
        subject = "/".join(filter(None, (gap.environment, gap.service)))
        if refuses(gap):
            level = FindingLevel.UNKNOWN if gap.temporary else FindingLevel.FAILED
            yield _finding(subject, level, _unknown(gap), _next_step(gap, known, catalog))
        elif _hides_a_user(gap):
            said = "; ".join(_said(words[word_id]) for word_id in gap.answered_by)
            yield _finding(subject, FindingLevel.WARNING, f"{_unknown(gap)}; {said}")
        elif gap.service is None and not gap.protected and gap.environment != beside:
            detail = f"{gap.detail}; it counts as no environment"
            yield _finding(subject, FindingLevel.WARNING, detail, _next_step(gap, known, catalog))
    for absent in known.absent:
        detail = "not seen, and the catalog says that it is not there"
        yield _finding(f"{absent.environment}/{absent.service}", FindingLevel.OK, detail)
    unknown = {gap.environment for gap in known.unreadable if _hides_a_user(gap)}
    for name in namespaces:
        if standing_of(name, catalog) is Standing.PROTECTED and name not in {*unknown, beside}:
            count = len(catalog.services) - sum(each.environment == name for each in known.absent)
            yield _finding(name, FindingLevel.OK, f"{count} services are seen")


def refusals(facts: Facts, catalog: Catalog) -> Iterator[Refused]:
    """Yield why plans are refused: one for all gaps of an environment that have the same reason and the same way on."""
    groups: dict[tuple[str, Reason, bool, str], list[Unreadable]] = {}
    for gap in filter(refuses, facts.unreadable):
        # Each right that is missing, and each workload that nobody could ask, has a sentence of its own.
        apart = gap.reason is Reason.KUBERNETES_FORBIDDEN or gap.subject.startswith(UNASKED)
        what = f"{gap.subject} {gap.detail}" if apart else ""
        groups.setdefault((gap.environment, gap.reason, gap.temporary, what), []).append(gap)
    for (_, _, temporary, _), gaps in groups.items():
        if gaps[0].subject.startswith(UNASKED):
            what = _not_asked(gaps)
        else:
            what = _not_seen(gaps) if is_unseen(gaps[0]) else _not_read(gaps)
        said = f"{what}; {_a_word(gaps, facts, catalog)}"
        yield Refused(Reason.SHARING_UNKNOWN, said, temporary=temporary)


def _not_read(gaps: Sequence[Unreadable]) -> str:
    """Say what could not be read of a protected environment, and the next step."""
    first = gaps[0]
    what = ", ".join(f"{gap.service or ''} {gap.subject}".strip() for gap in gaps)
    detail = f"{first.environment}: {what} could not be read ({first.reason.value})"
    if first.reason is Reason.KUBERNETES_FORBIDDEN:
        detail += f": {first.detail}. Give the daemon's account that right"
    return detail


def _not_asked(gaps: Sequence[Unreadable]) -> str:
    """Say which workload of protected services nobody could ask, and the next step."""
    services = ", ".join(gap.service or "" for gap in gaps)
    return (
        f"{gaps[0].environment}: {services} {_unknown(gaps[0])}, so nobody knows which database it uses. "
        "If nothing needs it, delete it"
    )


def _not_seen(gaps: Sequence[Unreadable]) -> str:
    """Say which services of a protected environment are not seen, and the next step."""
    services = "; ".join(f"{gap.service} ({gap.detail})" for gap in gaps)
    return (
        f"{gaps[0].environment} shows no workload of {services}, so nobody knows what they use. Correct `selector` in "
        "the catalog, or list the environment under `absent`"
    )


def _unknown(gap: Unreadable) -> str:
    if gap.subject.startswith(UNASKED):
        return (
            f"{gap.subject.removeprefix(UNASKED)} {gap.detail}, and no pod that was asked has its variables"
        )
    if is_unseen(gap) or gap.service is None:
        return gap.detail
    unread = f"{gap.subject} could not be read ({gap.reason.value})"
    # Addresses of its databases are nothing for people of other environments.
    return f"{unread}: {gap.detail}" if gap.subject == _PODS else unread


def _next_step(gap: Unreadable, facts: Facts, catalog: Catalog) -> str:
    if gap.reason is Reason.KUBERNETES_FORBIDDEN:
        return "Give the daemon's account the right in that namespace (deploy/kubernetes/rbac.yaml)."
    if is_unseen(gap):
        step = "Correct the service's `selector` in the catalog, or list the environment under its `absent`"
    elif gap.subject.startswith(UNASKED):
        step = "If nothing needs it, delete it"
    elif gap.service is None or gap.subject == _PODS:
        step = "Mend what keeps it from being read"
    else:
        step = f"Mend what keeps it from being read; `resetd plan {gap.environment}` says why"
    return f"{step}; {_a_word([gap], facts, catalog)}." if gap.protected else f"{step}."


def _a_word(gaps: Sequence[Unreadable], facts: Facts, catalog: Catalog) -> str:
    return f"an approver may say what it uses: {how_to_confirm(gaps, facts, catalog)}"


def _said(word: Word) -> str:
    return f"{word.given_by} says what it uses, until {word.expires_at:%Y-%m-%d %H:%M} UTC ({word.reason})"


def _finding(subject: str, level: FindingLevel, detail: str, hint: str | None = None) -> Finding:
    return Finding(check=CHECK, subject=subject, level=level, detail=detail, hint=hint)
