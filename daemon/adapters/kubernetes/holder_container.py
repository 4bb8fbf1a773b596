"""The one container of a holder that commands run in, found by its name in what the API server gives back.

What is created is not what comes back: injectors put containers before and behind those that were asked for, and
policies change images.
"""

from __future__ import annotations

from typing import Any

from kubernetes_asyncio.client import V1Pod

from daemon.adapters.kubernetes import pod_selection
from daemon.adapters.kubernetes.holder_pod import CONTAINER_ANNOTATION, IMAGE_ANNOTATION
from daemon.ports.errors import PermanentError
from schemas.reasons import Reason

_ENDED_PHASES = frozenset({"Succeeded", "Failed"})


def name_of(pod: V1Pod, configured: str | None) -> str:
    """Return the name of a holder's container.

    Raises:
        PermanentError: `pod-not-found`: the pod has no such container, or one with another image than was asked for.
    """
    annotations = pod.metadata.annotations or {}
    # A holder that names none has only the one that it was made with, and what was injected since.
    name = pod_selection.container_name(pod, annotations.get(CONTAINER_ANNOTATION) or configured)
    image = next(str(container.image) for container in pod.spec.containers if container.name == name)
    asked = annotations.get(IMAGE_ANNOTATION)
    if asked is not None and not _is_the_same(asked, image):
        raise PermanentError(
            Reason.POD_NOT_FOUND,
            f"container {name} of {pod.metadata.name} was asked for with image {asked}, and has {image}",
            hint="An admission webhook or a policy of the cluster changes the pods that resetd makes; exempt the label "
            "`app.kubernetes.io/managed-by: resetd`.",
        )
    return name


def has_ended(pod: V1Pod) -> bool:
    """Tell whether nothing can run in a holder any more, although what was injected may run on."""
    if pod.status.phase in _ENDED_PHASES:
        return True
    name = (pod.metadata.annotations or {}).get(CONTAINER_ANNOTATION)
    status = pod_selection.container_status(pod, name) if name else None
    return bool(
        pod.spec.restart_policy == "Never" and status and status.state and status.state.terminated is not None
    )


def why_not_running(pod: V1Pod, configured: str | None) -> str:
    """Say why a holder's container does not run yet, for people."""
    name = name_of(pod, configured)
    statuses = [*(pod.status.init_container_statuses or ()), pod_selection.container_status(pod, name)]
    for status in statuses:
        waiting = status.state.waiting if status and status.state else None
        if waiting and waiting.reason not in {None, "PodInitializing"}:
            return f"{status.name}: {waiting.reason}: {waiting.message or ''}"[:300].rstrip(": ")
    for condition in pod.status.conditions or ():
        if condition.status == "False" and condition.message:
            return str(condition.message)[:300]
    return f"its phase is {pod.status.phase}"


def _is_the_same(asked: str, image: str) -> bool:
    """Tell whether an image is the one that was asked for, though perhaps by way of another registry."""
    wanted, found = _parts(asked), _parts(image)
    if wanted["digest"] and found["digest"]:
        return bool(wanted["digest"] == found["digest"])
    return bool(wanted["name"] == found["name"] and (wanted["tag"] == found["tag"] or found["digest"]))


def _parts(image: str) -> dict[str, Any]:
    """Split `registry:5000/path/name:tag@digest` into its name, tag and digest."""
    reference, _, digest = image.partition("@")
    name, _, tag = reference.rpartition("/")[2].partition(":")
    return {"name": name, "tag": tag or "latest", "digest": digest}
