"""Which Application keeps an object as git has it: by annotation, by label, and by what ArgoCD itself lists.

ArgoCD's name for an Application outside of its own namespace is `NAMESPACE_NAME`; names in Kubernetes hold no `_`.

Source: argoproj/argo-cd, "Resource Tracking", "Applications in any namespace"; `Application.InstanceName`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from daemon.adapters.kubernetes.documents import Document

TRACKING = "argocd.argoproj.io/tracking-id"
"""`APPLICATION:GROUP/KIND:NAMESPACE/NAME`."""
INSTANCE = "app.kubernetes.io/instance"
"""The label by which older ArgoCDs track. Helm writes it as well."""
_IN_CLUSTER = "in-cluster"
_IN_CLUSTER_SERVER = "https://kubernetes.default.svc"


@dataclass(frozen=True)
class Tracker:
    """An Application that an object names."""

    name: str
    by_label: bool


@dataclass(frozen=True)
class Destination:
    """Tells whether an Application deploys to this cluster. `server` is the address that the daemon uses."""

    server: str

    def is_here(self, application: Document) -> bool:
        """Tell it by name or by address. One that says neither deploys to ArgoCD's own cluster."""
        destination = (application.get("spec") or {}).get("destination") or {}
        name, server = destination.get("name"), destination.get("server")
        if name:
            return bool(name == _IN_CLUSTER)
        return not server or server.rstrip("/") in {_IN_CLUSTER_SERVER, self.server.rstrip("/")}


def trackers(document: Document) -> Iterator[Tracker]:
    """Yield the Applications that an object names as those that keep it. The annotation counts before the label."""
    metadata = document.get("metadata") or {}
    if tracking := (metadata.get("annotations") or {}).get(TRACKING):
        yield Tracker(str(tracking).partition(":")[0], by_label=False)
    elif instance := (metadata.get("labels") or {}).get(INSTANCE):
        yield Tracker(str(instance), by_label=True)


def instance_name(application: Document, argocd_namespace: str) -> str:
    """Return ArgoCD's name for an Application."""
    metadata = application["metadata"]
    namespace, name = str(metadata.get("namespace") or argocd_namespace), str(metadata["name"])
    return name if namespace == argocd_namespace else f"{namespace}_{name}"


def place_of(instance: str, argocd_namespace: str) -> tuple[str, str]:
    """Return the namespace and the name of an Application by ArgoCD's name for it."""
    namespace, underscore, name = instance.partition("_")
    return (namespace, name) if underscore else (argocd_namespace, instance)


def keeps_one_of(
    name: str,
    application: Document,
    environment: str,
    objects: Collection[tuple[str, Document]],
    here: Destination,
) -> bool:
    """Tell whether an Application would undo what is done to one of these objects of an environment.

    - An object's annotation names it: that is believed wherever it says that it deploys to.
    - It deploys to this cluster, and an object's label names it, or ArgoCD lists the object as its.
    - It deploys to the environment in this cluster, and ArgoCD does not say yet what belongs to it.

    `objects` are kinds and documents.
    """
    named = [tracker for _, each in objects for tracker in trackers(each) if tracker.name == name]
    if any(not tracker.by_label for tracker in named):
        return True
    if not here.is_here(application):
        return False
    listed = (application.get("status") or {}).get("resources")
    if not listed:
        to = ((application.get("spec") or {}).get("destination") or {}).get("namespace")
        return bool(named) or to == environment
    places = {(kind, environment, str(each["metadata"]["name"])) for kind, each in objects}
    return bool(named) or any(
        (each.get("kind"), each.get("namespace"), each.get("name")) in places for each in listed
    )
