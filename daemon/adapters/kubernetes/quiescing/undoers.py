"""Who would undo it, were an object quiesced: what owns it, and what keeps an Application as it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from daemon.adapters.kubernetes.argocd import APPLICATIONS
from daemon.adapters.kubernetes.documents import Document, Documents, ObjectKind
from daemon.adapters.kubernetes.quiescing.tracking import TRACKING, place_of, trackers
from daemon.adapters.kubernetes.workloads.memory import ANNOTATION, LABEL
from schemas.quiescing import APPLICATION, ObjectRef

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
        if target.kind == APPLICATION:
            found += await self._parents(target, document)
        elif self._argocd:
            found += await self._tracked_elsewhere(target, document)
        made_by = application_set_of(document) if target.kind == APPLICATION else None
        if made_by is not None:
            namespace, _ = place_of(target.name, self._argocd)
            application_set = await self._documents.get(_APPLICATION_SETS, namespace, made_by)
            if application_set_undoes(application_set, str(document["metadata"]["name"])):
                found.append(
                    f"ApplicationSet {made_by} made {target} and would undo it: give it "
                    "`ignoreApplicationDifferences: [{jsonPointers: [/spec/syncPolicy]}]` and "
                    f"`preservedFields: {{annotations: [{ANNOTATION}], labels: [{LABEL}]}}`"
                )
        return found

    async def _parents(self, target: ObjectRef, document: Document) -> list[str]:
        """Say which Applications keep an Application. A label says so only where there is one of that name."""
        return [
            f"Application {tracker.name} keeps {target} and would undo it: let {tracker.name} ignore differences in "
            "/spec/syncPolicy of Applications"
            for tracker in trackers(document)
            if tracker.name != target.name and (not tracker.by_label or await self._is_there(tracker.name))
        ]

    async def _is_there(self, name: str) -> bool:
        return await self._documents.get(APPLICATIONS, *place_of(name, self._argocd)) is not None

    async def _tracked_elsewhere(self, target: ObjectRef, document: Document) -> list[str]:
        """Say which Application keeps an object, where nobody finds it. One that is found is held with the object."""
        found = []
        for tracker in trackers(document):
            namespace, name = place_of(tracker.name, self._argocd)
            # A label alone may be Helm's: then there need not be an Application.
            if tracker.by_label or await self._is_there(tracker.name):
                continue
            found.append(
                f"Application {tracker.name} keeps {target} and would undo it, and there is no Application {name} in "
                f"{namespace}: take the object out of it, or remove the annotation {TRACKING}"
            )
        return found


def _owners_that_undo(target: ObjectRef, document: Document) -> Iterator[str]:
    """Yield who owns the object and would write it anew. What an Application tracks is held by the Application."""
    metadata = document.get("metadata") or {}
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller") and not (
            target.kind == APPLICATION and owner.get("kind") == APPLICATION_SET
        ):
            who = f"{owner.get('kind')} {owner.get('name')}"
            yield f"{who} owns {target} and would undo it: quiesce it by {who}, or take it out of its hands"


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
