"""Deployments of the real cluster: the sandbox's stand-ins, and a service that only sleeps.

Pods share the machine's network, programs and files (hostPath), so that what is on this machine runs in them as it is.
Their image is the stand's `localhost/host:1`, an empty root with links into /usr, unless RESETD_E2E_IMAGE says so.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.fleet import SERVICES
from sandbox.platform.platform import Platform
from sandbox.postgres import ADDRESS, POD_HOST

PROJECT = Path(__file__).resolve().parents[2]
SLEEPS = 'trap "exit 0" TERM; while :; do sleep 3600 & wait; done'
_IMAGE = os.environ.get("RESETD_E2E_IMAGE", "localhost/host:1")
_READY = "/tmp/ready"


@dataclass(frozen=True)
class Mount:
    """A directory of this machine, as a container has it."""

    name: str
    path: str
    at: str
    writable: bool = False


def deployment(
    environment: str, service: str, container: Mapping[str, Any], mounts: Sequence[Mount]
) -> dict[str, Any]:
    """One pod of a service, with the platform's labels and the fields that `container` has besides the usual ones."""
    labels = {"app.kubernetes.io/name": service, "app.kubernetes.io/instance": environment}
    usual = {
        "name": service,
        "image": _IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},
            *({"name": one.name, "mountPath": one.at, "readOnly": not one.writable} for one in mounts),
        ],
    }
    pod = {
        "hostNetwork": True,
        "hostAliases": [{"ip": ADDRESS, "hostnames": [POD_HOST]}],
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 2,
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            *({"name": one.name, "hostPath": {"path": one.path}} for one in mounts),
        ],
        "containers": [{**usual, **container}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": service, "namespace": environment, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def variables(values: Mapping[str, str]) -> list[dict[str, Any]]:
    """The `env` of a container with these values."""
    return [{"name": name, "value": value} for name, value in values.items()]


def stand_in(platform: Platform, environment: str, service: str, urls: Mapping[str, str]) -> dict[str, Any]:
    """A service of the sandbox, whose programs report to the platform's witness."""
    image = platform.directory / "images" / service
    script = "prod" if '"prod"' in (image / "package.json").read_text() else "start:prod"
    fixed = {
        "PATH": "/app/bin:/usr/bin:/bin",
        "HOME": "/app",
        "PGHOSTADDR": ADDRESS,
        "SANDBOX_NAMESPACE": environment,
        "SANDBOX_SERVICE": service,
        "SANDBOX_JOURNAL": str(platform.witness.socket),
        "SANDBOX_CONTROLS": str(platform.directory / "controls"),
        "SANDBOX_READY_FILE": _READY,
    }
    fields = {"SANDBOX_POD": "metadata.name", "SANDBOX_CONTAINER_ID": "metadata.uid"}
    own = {"usr": "/usr", "python": sys.base_prefix, "project": PROJECT, "platform": platform.directory}
    mounts = [Mount(name, str(path), str(path), writable=True) for name, path in own.items()]
    return deployment(
        environment,
        service,
        {
            "command": ["npm", "run", script],
            "workingDir": "/app",
            "env": [
                *variables({**fixed, **urls}),
                *(
                    {"name": key, "valueFrom": {"fieldRef": {"fieldPath": path}}}
                    for key, path in fields.items()
                ),
            ],
            "ports": [{"containerPort": 13000 + SERVICES.index(service)}],
            "readinessProbe": {
                "exec": {"command": ["test", "-e", _READY]},
                "periodSeconds": 2,
                "timeoutSeconds": 10,
            },
        },
        [*mounts, Mount("app", str(image), "/app", writable=True)],
    )


def sleeper(environment: str, *, ready: bool = True, **values: str) -> dict[str, Any]:
    """A service `app` that sleeps and ends when it is asked to; else it never becomes ready."""
    never = {"exec": {"command": ["false"]}, "periodSeconds": 3600}
    container = {
        "command": ["sh", "-c", f"echo serving; {SLEEPS}"],
        "env": variables(values),
        **({} if ready else {"readinessProbe": never}),
    }
    return deployment(environment, "app", container, [Mount("usr", "/usr", "/usr")])
