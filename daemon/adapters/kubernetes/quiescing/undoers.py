"""Who would undo it, were an object quiesced: what owns it, and what keeps an Application as it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from daemon.adapters.kubernetes.argocd import APPLICATIONS
from daemon.adapters.kubernetes.documents import Document, Documents, ObjectKind
from daemon.adapters.kubernetes.workloads.memory import ANNOTATION, LABEL
from schemas.quiescing import APPLICATION, ObjectRef

TRACKING = "argocd.argoproj.io/tracking-id"
"""The annotation by which ArgoCD knows what an Application keeps: `APPLICATION:GROUP/KIND:NAMESPACE/NAME`."""
APPLICATION_SET = "ApplicationSet"


_APPLICATION_SETS = ObjectKind(APPLICATION_SET, "argoproj.io", "v1alpha1", "applicationsets")


class Undoers:
    """Looks for them by what an object says of itself."""

    def __init__(self, documents: Documents, argocd_namespace: str) -> None:
        self._documents = documents
        self._argocd = argocd_namespace

    async def of(self, target: ObjectRef, document: Document) -> list[str]:
        """Say who would undo it, each with the next step.

        Raises:
            PortError: an ApplicationSet can't be read.
        """
        found = list(_owners_that_undo(target, document))
        if target.kind != APPLICATION and self._argocd:
            found += await self._tracked_elsewhere(target, document)
        made_by = application_set_of(document) if target.kind == APPLICATION else None
        if made_by is not None:
            application_set = await self._documents.get(_APPLICATION_SETS, self._argocd, made_by)
            if application_set_undoes(application_set, target.name):
                found.append(
                    f"ApplicationSet {made_by} made {target} and would undo it: give it "
                    "`ignoreApplicationDifferences: [{jsonPointers: [/spec/syncPolicy]}]` and "
                    f"`preservedFields: {{annotations: [{ANNOTATION}], labels: [{LABEL}]}}`"
                )
        return found

    async def _tracked_elsewhere(self, target: ObjectRef, document: Document) -> list[str]:
        """Say which Application keeps a workload, where it is none of those that are held with its environment."""
        name = _tracked_by(document)
        if name is None:
            return []
        application = await self._documents.get(APPLICATIONS, self._argocd, name)
        destination = ((application or {}).get("spec") or {}).get("destination") or {}
        if destination.get("namespace") == target.environment:
            return []
        why = f"no Application of that name in {self._argocd} deploys to {target.environment}"
        return [
            f"Application {name} keeps {target} and would undo it, and {why}: take the workload out of it"
        ]


def _tracked_by(document: Document) -> str | None:
    tracking = ((document.get("metadata") or {}).get("annotations") or {}).get(TRACKING)
    return str(tracking).partition(":")[0] if tracking else None


def _owners_that_undo(target: ObjectRef, document: Document) -> Iterator[str]:
    """Yield who owns the object and would write it anew. What an Application tracks is held by the Application."""
    metadata = document.get("metadata") or {}
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller") and not (
            target.kind == APPLICATION and owner.get("kind") == APPLICATION_SET
        ):
            who = f"{owner.get('kind')} {owner.get('name')}"
            yield f"{who} owns {target} and would undo it: quiesce it by {who}, or take it out of its hands"
    parent = _tracked_by(document)
    if target.kind == APPLICATION and parent:
        yield (
            f"Application {parent} keeps {target} and would undo it: let {parent} ignore differences in "
            "/spec/syncPolicy of Applications"
        )


def application_set_of(document: Document) -> str | None:
    """Return the name of the ApplicationSet that made an Application."""
    owners = (document.get("metadata") or {}).get("ownerReferences") or ()
    return next((str(each.get("name")) for each in owners if each.get("kind") == APPLICATION_SET), None)


def application_set_undoes(application_set: Mapping[str, Any] | None, application: str) -> bool:
    """Tell whether an ApplicationSet would write an Application's sync policy anew.

    It leaves it alone where its own rules say so: a policy that only creates, or differences that it ignores. Those are
    of the spec: annotations and labels that it did not write go, unless it preserves them.

    Source: argoproj/argo-cd, ApplicationSet `spec.syncPolicy.applicationsSync`, `spec.ignoreApplicationDifferences`,
    `spec.preservedFields`.
    """
    spec = (application_set or {}).get("spec") or {}
    if (spec.get("syncPolicy") or {}).get("applicationsSync") in {"create-only", "create-delete"}:
        return False
    preserved = spec.get("preservedFields") or {}
    if ANNOTATION not in (preserved.get("annotations") or ()) or LABEL not in (preserved.get("labels") or ()):
        return True
    for ignored in spec.get("ignoreApplicationDifferences") or ():
        if ignored.get("name") not in {None, "", application}:
            continue
        pointers = ignored.get("jsonPointers") or ()
        if any(
            pointer in {"/spec", "/spec/syncPolicy", "/spec/syncPolicy/automated"} for pointer in pointers
        ):
            return False
        if any(
            str(expression) in {".spec.syncPolicy", ".spec.syncPolicy.automated"}
            for expression in ignored.get("jqPathExpressions") or ()
        ):
            return False
    return True
