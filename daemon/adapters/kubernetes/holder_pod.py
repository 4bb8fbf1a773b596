"""The pod that a reset makes for a service's commands: the Deployment's template, less what would make it the service.

Kept is what decides how a command runs: image, variables, volumes, account, security, resources, node. Left out is
what would make somebody else act on it: all labels, so that no Service, ReplicaSet, autoscaler or ArgoCD takes it for
theirs; probes and hooks; ports, of which a node has each only once; other containers: they run commands that no plan
names.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from daemon.adapters.kubernetes.pod_selection import DEFAULT_CONTAINER, named_container
from schemas.wire import AttemptId

RESET_LABEL = "resetd.fuse.io/reset"
"""Its value is the id of the reset that owns the pod."""
ATTEMPT = "resetd.fuse.io/attempt"
"""The last attempt that asked for the pod: written before anything is launched for it."""
USE = "resetd.fuse.io/use"
"""Another value each time that the pod is asked for: a write that changes nothing would leave its version alone."""
LIFE = 2 * 86_400
"""Seconds after which Kubernetes ends a holder that nobody removed."""

_SERVICE_LABEL = "resetd.fuse.io/service"
_MANAGED_BY = {"app.kubernetes.io/managed-by": "resetd"}
_NOT_OURS = ("argocd.argoproj.io/", "kubectl.kubernetes.io/last-applied-configuration")
# A shell as PID 1 reaps whatever its container leaves behind, and ends at once when it is told to.
_SLEEP = ["sh", "-c", 'trap "exit 0" TERM INT; while :; do sleep 3600 & wait "$!"; done']
_OF_A_SERVER = frozenset(
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
# What names the pod for others, spreads replicas, or would hide the container's own first process.
_OF_A_REPLICA = frozenset(
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
    """The same for every attempt of one reset in one service."""
    return f"resetd-{reset_of(attempt)}-{service}"


def reset_of(attempt: AttemptId) -> str:
    """The reset that an attempt belongs to."""
    return attempt.partition("/")[0]


def holder_pod(
    deployment: Mapping[str, Any], container: str | None, service: str, attempt: AttemptId
) -> dict[str, Any]:
    """The pod to create.

    Args:
        deployment: As the API server's JSON has it.
        container: The configured container, if any.
        service: The catalog's name of the service.
        attempt: Whose command is to run in it first.

    Raises:
        PermanentError: `pod-not-found`: no such container, or several and none is named.
    """
    template = deployment["spec"]["template"]
    spec = template["spec"]
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    chosen = named_container(
        [one["name"] for one in spec["containers"]],
        container or annotations.get(DEFAULT_CONTAINER),
        f"the template of {deployment['metadata']['name']}",
    )
    original = next(one for one in spec["containers"] if one["name"] == chosen)
    sleeping = {key: value for key, value in original.items() if key not in _OF_A_SERVER}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": holder_name(service, attempt),
            "labels": {**_MANAGED_BY, RESET_LABEL: reset_of(attempt), _SERVICE_LABEL: service},
            "annotations": {
                **{key: value for key, value in annotations.items() if not key.startswith(_NOT_OURS)},
                ATTEMPT: attempt,
            },
        },
        "spec": {
            **{key: copy.deepcopy(value) for key, value in spec.items() if key not in _OF_A_REPLICA},
            "containers": [{**copy.deepcopy(sleeping), "command": _SLEEP}],
            "restartPolicy": "Never",
            "activeDeadlineSeconds": LIFE,
            "terminationGracePeriodSeconds": 5,
        },
    }
