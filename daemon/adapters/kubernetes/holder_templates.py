"""The workload whose pods a holder is made like: the one Deployment, StatefulSet or Argo Rollout of a service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kubernetes_asyncio.client import ApiClient

from daemon.adapters.kubernetes.documents import ROLLOUT_KIND, Document, Documents, ObjectKind
from daemon.ports.errors import PermanentError
from schemas.reasons import Reason

DEPLOYMENTS = ObjectKind("Deployment", "apps", "v1", "deployments")
_STATEFUL_SETS = ObjectKind("StatefulSet", "apps", "v1", "statefulsets")
_ROLLOUTS = ObjectKind(*ROLLOUT_KIND)
_OTHERS = (_STATEFUL_SETS, _ROLLOUTS)


class HolderTemplates:
    """Finds it by the labels of the pods that each workload makes, also where it makes none now."""

    def __init__(self, rest: ApiClient) -> None:
        self._documents = Documents(rest)

    async def find(self, environment: str, selector: str, service: str) -> dict[str, Any]:
        """Return the workload as JSON, with the template that its pods have.

        Raises:
            PermanentError: `pod-not-found`: none matches, or several do and none has the service's name. Or
                `kubernetes-forbidden`.
        """
        deployments = await self._documents.list(DEPLOYMENTS, environment)
        matching = [each for each in deployments if _matches(each, selector)]
        forbidden = None
        for kind in _OTHERS:
            try:
                listed = await self._documents.list(kind, environment)
            except PermanentError as error:
                forbidden = error
                continue
            found = list(_with_templates(listed, deployments, selector))
            # A Rollout has taken the place of the Deployment whose template it borrows.
            borrowed = {_borrowed(each) for each in listed}
            matching = [each for each in matching if each["metadata"]["name"] not in borrowed] + found
        named = [each for each in matching if each["metadata"]["name"] == service]
        if len(matching) == 1 or len(named) == 1:
            return dict((named or matching)[0])
        if forbidden is not None and not matching:
            raise forbidden
        raise PermanentError(
            Reason.POD_NOT_FOUND,
            f"{environment}: {len(matching) or 'no'} workloads match {selector}; one was to be copied",
            hint="Give the service a narrower selector in the catalog." if matching else None,
        )


def _with_templates(
    listed: Iterable[Document], deployments: Iterable[Document], selector: str
) -> Iterator[Document]:
    """Yield those that a selector matches: each with its own template, or the one that it borrows, and its claims."""
    named = {str(each["metadata"]["name"]): each for each in deployments}
    for each in listed:
        name = _borrowed(each)
        template = _template(each) or (_template(named[name]) if name in named else None)
        if template is None:
            continue
        whole = {**each, "spec": {**each["spec"], "template": _with_claims(each, template)}}
        if _matches(whole, selector):
            yield whole


def _borrowed(workload: Document) -> str | None:
    """The Deployment whose template a Rollout has; None where it has its own, or another kind's.

    Source: argoproj/argo-rollouts, `spec.workloadRef`.
    """
    reference = (workload.get("spec") or {}).get("workloadRef") or {}
    return str(reference.get("name")) if reference.get("kind") == DEPLOYMENTS.kind else None


def _with_claims(workload: Document, template: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a StatefulSet's template the volumes that its first pod has: those are claimed by the set itself.

    Source: Kubernetes reference, StatefulSet `volumeClaimTemplates`, `ordinals.start`.
    """
    spec = workload["spec"]
    claims = [str(each["metadata"]["name"]) for each in spec.get("volumeClaimTemplates") or ()]
    if not claims:
        return template
    first = f"{workload['metadata']['name']}-{(spec.get('ordinals') or {}).get('start', 0)}"
    of_pod = template["spec"]
    volumes = [each for each in of_pod.get("volumes") or () if each.get("name") not in claims]
    volumes += [
        {"name": claim, "persistentVolumeClaim": {"claimName": f"{claim}-{first}"}} for claim in claims
    ]
    return {**template, "spec": {**of_pod, "volumes": volumes}}


def _template(workload: Document) -> Mapping[str, Any] | None:
    template: Mapping[str, Any] | None = (workload.get("spec") or {}).get("template")
    return template or None


def _matches(workload: Document, selector: str) -> bool:
    labels = ((_template(workload) or {}).get("metadata") or {}).get("labels") or {}
    return all(
        labels.get(label) == value
        for label, _, value in (term.partition("=") for term in selector.split(","))
    )
