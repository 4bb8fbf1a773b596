"""The pod of a service that commands run in, its container, and what became of one: read from the API's documents.

The same documents lead to the same pod. A service's label may also match Jobs, holders and a second Deployment, so a
pod counts only where a ReplicaSet (of a Deployment or an Argo Rollout) or a StatefulSet controls it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from kubernetes_asyncio.client import V1ContainerStatus, V1Pod, V1ReplicaSet

from daemon.ports.errors import PermanentError, TemporaryError
from daemon.ports.pods.cluster import Pod
from daemon.ports.pods.commands import ContainerFate, Fate
from schemas.reasons import Reason
from schemas.resets import Control

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_REVISION_ANNOTATIONS = ("deployment.kubernetes.io/revision", "rollout.argoproj.io/revision")
_HASH_LABELS = ("pod-template-hash", "rollouts-pod-template-hash")
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def generation_of(pod: V1Pod) -> str:
    """Return what tells the pods of one template from those of another; empty for a pod of no service.

    It is the name of the pod's ReplicaSet, or the revision of its StatefulSet.
    """
    if stateful_set := stateful_set_of(pod):
        return f"{stateful_set}/{(pod.metadata.labels or {}).get('controller-revision-hash', '')}"
    return _controlled_by(pod, "ReplicaSet")


def stateful_set_of(pod: V1Pod) -> str:
    """Return the name of the StatefulSet that controls a pod; empty where none does."""
    return _controlled_by(pod, "StatefulSet")


def _controlled_by(pod: V1Pod, kind: str) -> str:
    for owner in pod.metadata.owner_references or ():
        if owner.kind == kind and owner.controller:
            return str(owner.name)
    return ""


def candidates(pods: Sequence[V1Pod], selector: str) -> list[V1Pod]:
    """Return the pods of the service's one workload that are not being deleted and have not ended.

    Raises:
        PermanentError: `pod-not-found`: several workloads match, and none has the service's name.
    """
    owned = [pod for pod in pods if generation_of(pod) and not is_over(pod)]
    workloads = {_workload_of(pod) for pod in owned}
    if len(workloads) <= 1:
        return owned
    service = selector.rpartition("=")[2]
    if service not in workloads:
        raise PermanentError(
            Reason.POD_NOT_FOUND,
            f"{selector} matches several workloads: {', '.join(sorted(workloads))}",
            hint="Give the service a narrower selector in the catalog.",
        )
    return [pod for pod in owned if _workload_of(pod) == service]


def others(pods: Sequence[V1Pod], chosen: Pod, container: str | None) -> list[Pod]:
    """Return a ready pod of each workload and generation but the chosen pod's: they may use other databases.

    Args:
        pods: All pods of a selector; those of Jobs and of no owner are among them.
        chosen: The pod that stands for its own generation.
        container: The configured container, if any.

    Raises:
        PermanentError: `pod-not-found`: it can't be told which of several containers is the service's.
    """
    return [
        found
        for each in _ready_by_maker(pods)
        if all(str(pod.metadata.uid) != chosen.uid for pod in each)
        and (found := _pod_to_ask(each[0], chosen.environment, container)) is not None
    ]


def ready_each(pods: Sequence[V1Pod], environment: str, container: str | None) -> list[Pod]:
    """Return a ready pod of each workload and generation. One whose container is ambiguous is left out."""
    found = []
    for each in _ready_by_maker(pods):
        with suppress(PermanentError):
            found.append(_pod_to_ask(each[0], environment, container))
    return [pod for pod in found if pod is not None]


def _ready_by_maker(pods: Sequence[V1Pod]) -> list[list[V1Pod]]:
    """Return the ready pods of each maker, the oldest first."""
    ready: dict[str, list[tuple[datetime, str, V1Pod]]] = {}
    for pod in pods:
        since = None if pod.metadata.deletion_timestamp else _ready_since(pod)
        if since is not None:
            ready.setdefault(maker_of(pod), []).append((since, str(pod.metadata.name), pod))
    return [
        [pod for _, _, pod in sorted(each, key=lambda candidate: candidate[:2])] for each in ready.values()
    ]


def _pod_to_ask(pod: V1Pod, environment: str, container: str | None) -> Pod | None:
    names = [str(one.name) for one in pod.spec.containers]
    status = container_status(pod, container_name(pod, container if container in names else None))
    return port_pod(environment, pod, status) if status is not None else None


def maker_of(pod: V1Pod) -> str:
    """Name what made a pod by a template, so that all that it made are alike."""
    owner = next((each for each in pod.metadata.owner_references or () if each.controller), None)
    return (
        generation_of(pod) or f"{owner.kind if owner else 'Pod'} {owner.name if owner else pod.metadata.name}"
    )


def newest_first(replica_sets: Sequence[V1ReplicaSet]) -> list[str]:
    """Return the names of ReplicaSets, newest revision first. A rollback gives an old one a new revision."""

    def age(replica_set: V1ReplicaSet) -> tuple[int, datetime, str]:
        metadata = replica_set.metadata
        annotations = metadata.annotations or {}
        revision = next((annotations[name] for name in _REVISION_ANNOTATIONS if name in annotations), "0")
        return (
            int(revision) if revision.isdigit() else 0,
            metadata.creation_timestamp or _LONG_AGO,
            str(metadata.name),
        )

    return [str(newest.metadata.name) for newest in sorted(replica_sets, key=age, reverse=True)]


def choose(
    pods: Sequence[V1Pod], ranking: Sequence[str], container: str | None, environment: str, selector: str
) -> Pod:
    """Return the oldest ready pod of the newest generation.

    Args:
        pods: The candidates, at least one.
        ranking: Their generations, newest first.
        container: The configured container, if any.
        environment: Their namespace.
        selector: For messages.

    Raises:
        TemporaryError: `pod-not-ready`: the newest generation has no ready pod; pods of older ones are about to go.
        PermanentError: `pod-not-found`: no such container, or several and none is named.
    """
    newest = [pod for pod in pods if generation_of(pod) == ranking[0]]
    ready = []
    for pod in newest:
        name = container_name(pod, container)
        status = container_status(pod, name)
        since = _ready_since(pod)
        if since is not None and status and status.state and status.state.running:
            ready.append((since, str(pod.metadata.name), pod, status))
    if not ready:
        raise TemporaryError(
            Reason.POD_NOT_READY,
            f"{environment}: none of {len(newest)} pods of {selector} ({ranking[0]}) is ready",
            hint="A rollout is under way or the service does not start; look at its last log lines.",
        )
    _, _, pod, status = min(ready, key=lambda candidate: candidate[:2])
    return port_pod(environment, pod, status)


def port_pod(environment: str, pod: V1Pod, status: V1ContainerStatus) -> Pod:
    """Return a pod and one of its containers as the port names them."""
    return Pod(
        environment=environment,
        name=str(pod.metadata.name),
        uid=str(pod.metadata.uid),
        container=str(status.name),
        container_id=str(status.container_id),
        image_digest=str(status.image_id),
        restart_count=int(status.restart_count or 0),
        maker=maker_of(pod),
    )


def container_name(pod: V1Pod, configured: str | None, *, service: str | None = None) -> str:
    """Name the container to use: configured, else annotated as the default, else the only one.

    Args:
        pod: The pod; what was injected into it may stand before the service's own containers.
        configured: The container that the catalog names, if any.
        service: The name to take, where a container has it, before an only one is asked for.

    Raises:
        PermanentError: as `named_container`.
    """
    wanted = configured or (pod.metadata.annotations or {}).get(DEFAULT_CONTAINER)
    names = [str(container.name) for container in pod.spec.containers]
    if wanted is None and service in names:
        wanted = service
    return named_container(names, wanted, f"pod {pod.metadata.name}")


def named_container(names: Sequence[str], wanted: str | None, where: str) -> str:
    """Return the wanted name, or the only one where none is wanted.

    Raises:
        PermanentError: `pod-not-found`: there is no such container, or there are several and none is wanted.
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


def container_status(pod: V1Pod, container: str) -> V1ContainerStatus | None:
    """Return what the kubelet says of one container, if it says anything."""
    for status in pod.status.container_statuses or ():
        if status.name == container:
            return status
    return None


def container_fate(pod: V1Pod | None, control: Control) -> ContainerFate:
    """Tell what became of the container that a command was recorded in.

    Args:
        pod: The pod that now has the recorded name, if any.
        control: As the command was recorded.
    """
    if pod is None or pod.metadata.uid != control.pod_uid:
        return ContainerFate(Fate.UNKNOWN)
    status = container_status(pod, control.container)
    if status is None:
        return ContainerFate(Fate.UNKNOWN)
    for state in (status.state, status.last_state):
        ended = state.terminated if state else None
        if ended and ended.container_id == control.container_id:
            reason = "Evicted" if pod.status.reason == "Evicted" else ended.reason
            return ContainerFate(Fate.TERMINATED, reason, ended.exit_code)
    if status.state and status.state.running and status.container_id == control.container_id:
        return ContainerFate(Fate.RUNNING)
    if (status.restart_count or 0) > control.restart_count:
        # A higher restart count of the same pod proves the end, too: a kubelet never runs two of one container.
        return ContainerFate(Fate.TERMINATED)
    return ContainerFate(Fate.UNKNOWN)


def _workload_of(pod: V1Pod) -> str:
    # A Deployment or Rollout names its ReplicaSets after itself and the hash that it also puts on the pods.
    labels = pod.metadata.labels or {}
    replica_set = _controlled_by(pod, "ReplicaSet")
    for label in _HASH_LABELS:
        if label in labels:
            replica_set = replica_set.removesuffix(f"-{labels[label]}")
    return stateful_set_of(pod) or replica_set


def is_over(pod: V1Pod) -> bool:
    """Tell whether a pod has ended or is being deleted."""
    return bool(pod.metadata.deletion_timestamp) or pod.status.phase in {"Succeeded", "Failed"}


def _ready_since(pod: V1Pod) -> datetime | None:
    if pod.status.phase != "Running":
        return None
    for condition in pod.status.conditions or ():
        if condition.type == "Ready" and condition.status == "True":
            return condition.last_transition_time or _LONG_AGO
    return None
