"""The pod that a reset makes for a service's commands: its workload's template, less what would make it the service.

- It keeps what decides how a command runs: image, variables, volumes, account, security, resources, node.
- It leaves out all labels, so that no Service, ReplicaSet, autoscaler or ArgoCD takes the pod for its own.
- It leaves out probes and hooks, and ports, of which a node has each only once.
- It leaves out other containers: they run commands that no plan names.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from daemon.adapters.kubernetes.pod_selection import DEFAULT_CONTAINER, named_container
from schemas.wire import AttemptId

RESET_LABEL = "resetd.fuse.io/reset"
"""Its value is the id of the reset that owns the pod."""
ATTEMPT_ANNOTATION = "resetd.fuse.io/attempt"
"""Its value is the last attempt that asked for the pod, written before anything is launched for that attempt."""
USE_ANNOTATION = "resetd.fuse.io/use"
"""Its value is new each time that the pod is asked for: a write that changes nothing leaves the pod's version alone."""
CONTAINER_ANNOTATION = "resetd.fuse.io/container"
"""Its value is the name of the container that commands run in. Others may be injected before and behind it."""
IMAGE_ANNOTATION = "resetd.fuse.io/image"
"""Its value is the image that this container was asked for with."""
LIFETIME_SECONDS = 2 * 86_400
"""After this time Kubernetes ends a holder that nobody removed."""

CHECK = AttemptId("check")
"""Stands for a reset and its attempt where the API server is asked whether it would admit a holder."""

_SERVICE_LABEL = "resetd.fuse.io/service"
_MANAGED_BY = {"app.kubernetes.io/managed-by": "resetd"}
_FOREIGN_ANNOTATIONS = ("argocd.argoproj.io/", "kubectl.kubernetes.io/last-applied-configuration")
# A shell as PID 1 reaps every process that a command leaves behind, and ends at once on TERM.
_SLEEP_COMMAND = ["sh", "-c", 'trap "exit 0" TERM INT; while :; do sleep 3600 & wait "$!"; done']
# Fields of a container that serves.
_SERVER_FIELDS = frozenset(
    {
        "args",
        "command",
        "lifecycle",
        "livenessProbe",
        "ports",
        "readinessProbe",
        "restartPolicy",
        "startupProbe",
        "stdin",
        "stdinOnce",
        "tty",
    }
)
# Fields of a pod that name it for others, spread replicas, or would hide the container's own first process.
_REPLICA_FIELDS = frozenset(
    {
        "containers",
        "ephemeralContainers",
        "hostPID",
        "hostname",
        "initContainers",
        "readinessGates",
        "shareProcessNamespace",
        "subdomain",
        "topologySpreadConstraints",
    }
)


def holder_name(service: str, attempt: AttemptId) -> str:
    """Name the holder of a service: the same name for every attempt of one reset."""
    return f"resetd-{reset_of(attempt)}-{service}"


def reset_of(attempt: AttemptId) -> str:
    """Return the id of the reset that an attempt belongs to."""
    return attempt.partition("/")[0]


def holder_pod(
    workload: Mapping[str, Any], container: str | None, service: str, attempt: AttemptId
) -> dict[str, Any]:
    """Make the pod to create, as the API server's JSON has it.

    Args:
        workload: The service's, as the API server's JSON has it.
        container: The configured container, if any.
        service: The catalog's name of the service.
        attempt: The attempt whose command is to run in the pod first.

    Raises:
        PermanentError: `pod-not-found`: no such container, or several and none is named.
    """
    template = workload["spec"]["template"]
    spec = template["spec"]
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    chosen = named_container(
        [candidate["name"] for candidate in spec["containers"]],
        container or annotations.get(DEFAULT_CONTAINER),
        f"the template of {workload['metadata']['name']}",
    )
    original = next(candidate for candidate in spec["containers"] if candidate["name"] == chosen)
    sleeping = {key: value for key, value in original.items() if key not in _SERVER_FIELDS}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": holder_name(service, attempt),
            "labels": {**_MANAGED_BY, RESET_LABEL: reset_of(attempt), _SERVICE_LABEL: service},
            "annotations": {
                **{
                    key: value
                    for key, value in annotations.items()
                    if not key.startswith(_FOREIGN_ANNOTATIONS)
                },
                ATTEMPT_ANNOTATION: attempt,
                CONTAINER_ANNOTATION: chosen,
                IMAGE_ANNOTATION: original["image"],
            },
        },
        "spec": {
            **{key: copy.deepcopy(value) for key, value in spec.items() if key not in _REPLICA_FIELDS},
            "containers": [{**copy.deepcopy(sleeping), "command": _SLEEP_COMMAND}],
            "restartPolicy": "Never",
            "activeDeadlineSeconds": LIFETIME_SECONDS,
            "terminationGracePeriodSeconds": 5,
        },
    }
