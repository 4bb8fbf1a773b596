"""Which pod of a service commands run in, and which container: the same answer for the same cluster.

The label may also match Jobs, holders and a second Deployment, so a pod counts only when a ReplicaSet owns it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from kubernetes_asyncio.client import V1ContainerStatus, V1Deployment, V1Pod, V1ReplicaSet

from daemon.ports.errors import PermanentError, TemporaryError
from daemon.ports.pods.cluster import Pod
from schemas.reasons import Reason

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_REVISION = "deployment.kubernetes.io/revision"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def replica_set_of(pod: V1Pod) -> str | None:
    """The name of the ReplicaSet that controls it, if one does."""
    for owner in pod.metadata.owner_references or ():
        if owner.kind == "ReplicaSet" and owner.controller:
            return str(owner.name)
    return None


def candidates(pods: Sequence[V1Pod], selector: str) -> list[V1Pod]:
    """Pods of the service's one Deployment that are not being deleted and have not ended.

    Raises:
        PermanentError: `pod-not-found`: several Deployments match, and none has the service's name.
    """
    owned = [
        pod
        for pod in pods
        if replica_set_of(pod)
        and not pod.metadata.deletion_timestamp
        and pod.status.phase not in {"Succeeded", "Failed"}
    ]
    deployments = {_deployment_of(pod) for pod in owned}
    if len(deployments) <= 1:
        return owned
    service = selector.rpartition("=")[2]
    if service not in deployments:
        raise PermanentError(
            Reason.POD_NOT_FOUND,
            f"{selector} matches several deployments: {', '.join(sorted(deployments))}",
            hint="Give the service a narrower selector in the catalog.",
        )
    return [pod for pod in owned if _deployment_of(pod) == service]


def makers(deployments: Sequence[V1Deployment], selector: str) -> list[V1Deployment]:
    """Those whose pods the selector (`LABEL=VALUE`, several with commas) matches: by the template's labels."""
    wanted = [term.partition("=")[::2] for term in selector.split(",")]

    def makes(one: V1Deployment) -> bool:
        labels = one.spec.template.metadata.labels or {}
        return all(labels.get(label) == value for label, value in wanted)

    return [one for one in deployments if makes(one)]


def newest_first(replica_sets: Sequence[V1ReplicaSet]) -> list[str]:
    """Names of ReplicaSets, newest revision first: a rollback gives an old one a new revision."""

    def age(replica_set: V1ReplicaSet) -> tuple[int, datetime, str]:
        metadata = replica_set.metadata
        revision = (metadata.annotations or {}).get(_REVISION, "0")
        return (
            int(revision) if revision.isdigit() else 0,
            metadata.creation_timestamp or _LONG_AGO,
            str(metadata.name),
        )

    return [str(one.metadata.name) for one in sorted(replica_sets, key=age, reverse=True)]


def choose(
    pods: Sequence[V1Pod], ranking: Sequence[str], container: str | None, environment: str, selector: str
) -> Pod:
    """The oldest ready pod of the newest ReplicaSet.

    Args:
        pods: The candidates, at least one.
        ranking: Names of their ReplicaSets, newest first.
        container: The configured container, if any.
        environment: Their namespace.
        selector: For messages.

    Raises:
        TemporaryError: `pod-not-ready`: of the newest ReplicaSet none is ready; older pods are about to go.
        PermanentError: `pod-not-found`: no such container, or several and none is named.
    """
    newest = [pod for pod in pods if replica_set_of(pod) == ranking[0]]
    ready = []
    for pod in newest:
        name = container_of(pod, container)
        status = status_of(pod, name)
        since = _ready_since(pod)
        if since is not None and status and status.state and status.state.running:
            ready.append((since, str(pod.metadata.name), pod, status))
    if not ready:
        raise TemporaryError(
            Reason.POD_NOT_READY,
            f"{environment}: none of {len(newest)} pods of {selector} ({ranking[0]}) is ready",
            hint="A rollout is under way or the service does not start; look at its last log lines.",
        )
    _, _, pod, status = min(ready, key=lambda one: one[:2])
    return pod_of(environment, pod, status)


def pod_of(environment: str, pod: V1Pod, status: V1ContainerStatus) -> Pod:
    """The pod and its container as the port names them."""
    return Pod(
        environment=environment,
        name=str(pod.metadata.name),
        uid=str(pod.metadata.uid),
        container=str(status.name),
        container_id=str(status.container_id),
        image_digest=str(status.image_id),
        restart_count=int(status.restart_count or 0),
    )


def container_of(pod: V1Pod, configured: str | None) -> str:
    """Configured, else annotated as the default, else the only one."""
    wanted = configured or (pod.metadata.annotations or {}).get(DEFAULT_CONTAINER)
    return named_container([str(one.name) for one in pod.spec.containers], wanted, f"pod {pod.metadata.name}")


def named_container(names: Sequence[str], wanted: str | None, where: str) -> str:
    """The wanted one, else the only one.

    Raises:
        PermanentError: `pod-not-found`: there is no such container, or there are several and none is named.
    """
    if wanted in names:
        return str(wanted)
    if wanted is None and len(names) == 1:
        return names[0]
    raise PermanentError(
        Reason.POD_NOT_FOUND,
        f"{where} has no container {wanted!r}, but {', '.join(names)}"
        if wanted
        else f"{where} has several containers: {', '.join(names)}",
        hint="Name the service's container in the catalog.",
    )


def status_of(pod: V1Pod, container: str) -> V1ContainerStatus | None:
    """The kubelet's word on one container."""
    for status in pod.status.container_statuses or ():
        if status.name == container:
            return status
    return None


def _deployment_of(pod: V1Pod) -> str:
    # A Deployment names its ReplicaSets after itself and the hash that it also puts on the pods.
    suffix = "-" + (pod.metadata.labels or {}).get("pod-template-hash", "")
    return (replica_set_of(pod) or "").removesuffix(suffix)


def _ready_since(pod: V1Pod) -> datetime | None:
    if pod.status.phase != "Running":
        return None
    for condition in pod.status.conditions or ():
        if condition.type == "Ready" and condition.status == "True":
            return condition.last_transition_time or _LONG_AGO
    return None
