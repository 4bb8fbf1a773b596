"""Pods that carry a service's label but belong to a Job or to a second Deployment.

They appear before the daemon's list of pods is answered, and go after some seconds.
"""

from __future__ import annotations

import copy
import uuid
from dataclasses import dataclass, field
from functools import partial

from sandbox.faults.armoury import Armed, Armoury
from sandbox.faults.kinds import IMPOSTORS, FaultKind
from sandbox.kubernetes.faults.background import Background
from sandbox.kubernetes.node.pod_specs import NAME_LABEL
from sandbox.kubernetes.objects import admission, deletion
from sandbox.kubernetes.objects.kinds import DEPLOYMENTS, PODS
from sandbox.kubernetes.objects.objects import Object, Objects
from sandbox.kubernetes.objects.ownership import random_suffix, ready
from sandbox.polling import until

_USUAL = 10.0
_READY_WITHIN = 10.0
_FAULT = "sandbox.fuse.io/fault"
"""The label of an object that a fault made; its value is the id of the fault."""


@dataclass
class Impostors:
    """All impostors of the cluster."""

    objects: Objects
    armoury: Armoury
    background: Background
    _there: set[str] = field(default_factory=set)

    async def appear(self, namespace: str, selector: str) -> None:
        """Make the impostors that are armed for the service of `selector`, so that the list of its pods has them."""
        service = _service(selector)
        if service is None:
            return
        for armed in self.armoury.meeting(IMPOSTORS, namespace, service):
            deployment = self.objects.find(DEPLOYMENTS, namespace, service)
            name = f"{armed.name}.{namespace}.{service}"
            if deployment is None or name in self._there:
                continue
            self._there.add(name)
            self._make(armed, deployment)
            if await until(partial(self._is_ready, armed, namespace), within=_READY_WITHIN):
                self.armoury.hit(armed)
            self.background.start(self._last(armed, name))

    def _make(self, armed: Armed, deployment: Object) -> None:
        meta, template = deployment["metadata"], copy.deepcopy(deployment["spec"]["template"])
        labels = template["metadata"]["labels"] | {_FAULT: armed.id}
        (container, *_) = template["spec"]["containers"]
        # It only sleeps: a second service would migrate and seed.
        container |= {"command": ["sleep", "1000000"]}
        for probe in ("readinessProbe", "livenessProbe"):
            container.pop(probe, None)
        template["spec"]["containers"] = [container]
        if armed.fault.kind is FaultKind.LABEL_SELECTS_JOB:
            self.objects.create(
                PODS, admission.admitted(self.objects, _of_a_job(meta, labels, template["spec"]))
            )
            return
        own = {
            "metadata": {
                "name": f"{meta['name']}-canary-{random_suffix()}",
                "namespace": meta["namespace"],
                "labels": labels,
            },
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": template | {"metadata": {"labels": labels}},
            },
        }
        self.objects.create(DEPLOYMENTS, admission.prepare(self.objects, DEPLOYMENTS, own))

    def _is_ready(self, armed: Armed, namespace: str) -> bool:
        return any(ready(pod) for pod in self._made(armed.id, namespace))

    def _made(self, identifier: str, namespace: str = "") -> list[Object]:
        return [
            pod
            for pod in self.objects.every(PODS, namespace)
            if (pod["metadata"].get("labels") or {}).get(_FAULT) == identifier
        ]

    async def _last(self, armed: Armed, name: str) -> None:
        with self.armoury.lasting(armed, armed.id) as is_to_end:
            await until(is_to_end, within=armed.fault.seconds_or(_USUAL))
            self._remove(armed.id)
            await until(lambda: not self._made(armed.id), within=_READY_WITHIN)
        self._there.discard(name)

    def _remove(self, identifier: str) -> None:
        for deployment in list(self.objects.every(DEPLOYMENTS)):
            if (deployment["metadata"].get("labels") or {}).get(_FAULT) == identifier:
                deletion.delete(self.objects, DEPLOYMENTS, deployment)
        for pod in self._made(identifier):
            deletion.delete(self.objects, PODS, pod, {"gracePeriodSeconds": 0})

    def recover(self) -> None:
        """Remove the impostors that a server which was killed left."""
        for name, identifier in self.armoury.effects(IMPOSTORS).items():
            self._remove(identifier)
            self.armoury.forget(name)


def _of_a_job(meta: Object, labels: dict[str, str], spec: Object) -> Object:
    job = f"{meta['name']}-nightly-{random_suffix()}"
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": job,
        "uid": str(uuid.uuid4()),
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{job}-{random_suffix()}",
            "namespace": meta["namespace"],
            "labels": labels | {"batch.kubernetes.io/job-name": job},
            "ownerReferences": [owner],
        },
        "spec": spec | {"restartPolicy": "Never"},
    }


def _service(selector: str) -> str | None:
    """The name of the service that a label selector asks for; None when it asks for none."""
    for part in selector.split(","):
        name, _, value = part.partition("=")
        if name.strip() == NAME_LABEL and value:
            return value.removeprefix("=").strip()
    return None
