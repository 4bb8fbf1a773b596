"""Reads the workloads of a namespace from the lists of it: their labels, and the templates of their pods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from kubernetes_asyncio.client import (
    V1ObjectMeta,
    V1OwnerReference,
    V1Pod,
    V1PodTemplateSpec,
    V1ReplicaSet,
    V1StatefulSet,
)

from daemon.adapters.kubernetes.pod_selection import is_over, maker_of, newest_first
from daemon.adapters.kubernetes.workloads.memory import UnreadableMemoryError, read_memory
from daemon.adapters.kubernetes.workloads.pod_templates import HASHES, template_variables, variables_digest
from daemon.ports.errors import PermanentError
from daemon.ports.pods.cluster import Template, Workload

_JOB = "Job"
"""What runs for a while: a pod of it that is ready is asked, one that is not is nobody's gap."""


@dataclass(frozen=True)
class Lists:
    """What was listed of one namespace."""

    pods: Sequence[V1Pod]
    deployments: Sequence[Any]
    stateful_sets: Sequence[Any]
    replica_sets: Sequence[V1ReplicaSet]
    rollouts: Sequence[Mapping[str, Any]]
    rollout_templates: Mapping[str, V1PodTemplateSpec]
    """The templates that Rollouts have themselves, by the Rollout's name."""
    unread: tuple[PermanentError, ...] = ()

    def owned(self, uid: object) -> list[V1ReplicaSet]:
        """Return the ReplicaSets of an owner, newest first."""
        named = {str(each.metadata.name): each for each in self._by_owner.get(str(uid), ())}
        return [named[name] for name in newest_first(list(named.values()))]

    @cached_property
    def _by_owner(self) -> Mapping[str, Sequence[V1ReplicaSet]]:
        found: dict[str, list[V1ReplicaSet]] = {}
        for each in self.replica_sets:
            if owner := _controller(each.metadata):
                found.setdefault(str(owner.uid), []).append(each)
        return found


def workloads(lists: Lists) -> Iterator[Workload]:
    """Yield what has or would have pods. See `daemon.ports.pods.cluster.Cluster.workloads`."""
    owners: set[str] = set()
    for deployment in lists.deployments:
        owners.add(str(deployment.metadata.uid))
        name, template = str(deployment.metadata.name), deployment.spec.template
        templates = (_next(template, name), *_of_sets(lists.owned(deployment.metadata.uid), name))
        replicas = asked_for(deployment.spec.replicas)
        found = Workload("Deployment", name, _labels(template), replicas, templates=templates)
        yield _with_memory(found, deployment.metadata.annotations, template)
    for stateful_set in lists.stateful_sets:
        owners.add(str(stateful_set.metadata.uid))
        template, replicas = stateful_set.spec.template, asked_for(stateful_set.spec.replicas)
        templates = tuple(_of_stateful_set(stateful_set, lists))
        name = str(stateful_set.metadata.name)
        found = Workload("StatefulSet", name, _labels(template), replicas, templates=templates)
        yield _with_memory(found, stateful_set.metadata.annotations, template)
    for rollout in lists.rollouts:
        metadata = rollout.get("metadata") or {}
        owners.add(str(metadata.get("uid")))
        yield _of_rollout(rollout, lists)
    for replica_set in lists.replica_sets:
        owner = _controller(replica_set.metadata)
        if owner is None or str(owner.uid) not in owners:
            # Whoever owns it can't be listed, and is known by this alone.
            kind, name = (owner.kind, owner.name) if owner else ("ReplicaSet", replica_set.metadata.name)
            labels = _without_hash(_labels(replica_set.spec.template))
            used = _used(lists.owned(owner.uid)) if owner else [replica_set]
            templates = tuple(_of_set(each, str(name)) for each in used if each is replica_set)
            replicas = asked_for(replica_set.spec.replicas)
            yield Workload(str(kind), str(name), labels, replicas, templates=templates)
    owners |= {str(each.metadata.uid) for each in lists.replica_sets}
    for pod in lists.pods:
        owner = _controller(pod.metadata)
        if owner is None or str(owner.uid) not in owners:
            kind, name = (owner.kind, owner.name) if owner else ("Pod", pod.metadata.name)
            templates = () if kind == _JOB or is_over(pod) else (_of_pod(pod, str(name)),)
            labels = dict(pod.metadata.labels or {})
            yield Workload(str(kind), str(name), labels, 1, templated=False, templates=templates)


def _of_rollout(rollout: Mapping[str, Any], lists: Lists) -> Workload:
    """A Rollout, whose template is its own, or that of the Deployment that it refers to, or of its ReplicaSets."""
    metadata, spec = rollout.get("metadata") or {}, rollout.get("spec") or {}
    name, sets = str(metadata.get("name")), lists.owned(metadata.get("uid"))
    written, template = spec.get("template"), lists.rollout_templates.get(str(metadata.get("name")))
    reference = spec.get("workloadRef") or {}
    if not written and reference.get("kind") == "Deployment":
        referred = (each for each in lists.deployments if each.metadata.name == reference.get("name"))
        template = next((each.spec.template for each in referred), None)
    if written:
        labels = (written.get("metadata") or {}).get("labels") or {}
    elif template is not None:
        labels = _labels(template)
    else:
        labels = _without_hash(_labels(sets[0].spec.template)) if sets else {}
    templates = (_next(template, name), *_of_sets(sets, name))
    found = Workload("Rollout", name, labels, asked_for(spec.get("replicas")), templates=templates)
    return _with_memory(found, metadata.get("annotations"), template)


def _with_memory(
    workload: Workload, annotations: Mapping[str, str] | None, template: V1PodTemplateSpec | None
) -> Workload:
    """Add what a quiesced workload remembers. What its pods used is true of a template with the same variables."""
    try:
        memory = read_memory(annotations)
    except UnreadableMemoryError:
        return workload
    if memory is None:
        return workload
    same = bool(memory.variables) and memory.variables == template_variables(template, workload.name)
    return replace(workload, quiesced_by=tuple(memory.resets), used=memory.uses if same else ())


def _of_stateful_set(stateful_set: V1StatefulSet, lists: Lists) -> Iterator[Template]:
    """Yield the templates of a StatefulSet. Nothing but its pods shows those of its former revisions."""
    name, status = str(stateful_set.metadata.name), stateful_set.status
    newest = _next(stateful_set.spec.template, name)
    told = status is not None and status.observed_generation == stateful_set.metadata.generation
    if told and status.update_revision:
        newest = replace(newest, maker=f"{name}/{status.update_revision}")
    yield newest
    makers = set[str]()
    for pod in lists.pods:
        owner = _controller(pod.metadata)
        maker = maker_of(pod)
        known = maker == newest.maker or maker in makers
        if owner and owner.uid == stateful_set.metadata.uid and not known and not is_over(pod):
            makers.add(maker)
            yield _of_pod(pod, name)


def _of_sets(replica_sets: Iterable[V1ReplicaSet], owner: str) -> Iterator[Template]:
    """Yield the templates of ReplicaSets that have pods; each rollout leaves one at 0 behind."""
    for each in replica_sets:
        if asked_for(each.spec.replicas):
            yield _of_set(each, owner)


def _used(replica_sets: Sequence[V1ReplicaSet]) -> Sequence[V1ReplicaSet]:
    """Return those of an owner's ReplicaSets, newest first, that have pods; where none has, the newest."""
    return [each for each in replica_sets if asked_for(each.spec.replicas)] or replica_sets[:1]


def _of_set(replica_set: V1ReplicaSet, owner: str) -> Template:
    next_ = _next(replica_set.spec.template, owner)
    return Template(str(replica_set.metadata.name), next_.variables)


def _of_pod(pod: V1Pod, owner: str) -> Template:
    metadata = pod.metadata
    digest = variables_digest(pod.spec, metadata.labels or {}, metadata.annotations or {}, owner)
    return Template(maker_of(pod), digest)


def _next(template: V1PodTemplateSpec | None, owner: str) -> Template:
    """The template of the pods that a workload makes next. Which of them are there already, it does not say."""
    return Template(variables=template_variables(template, owner))


def _labels(template: V1PodTemplateSpec | None) -> Mapping[str, str]:
    return dict((template.metadata.labels if template and template.metadata else None) or {})


def _without_hash(labels: Mapping[str, str]) -> Mapping[str, str]:
    return {label: value for label, value in labels.items() if label not in HASHES}


def asked_for(replicas: int | None) -> int:
    """Return the replicas that a `spec` asks for. One that says nothing asks for one."""
    return 1 if replicas is None else int(replicas)


def _controller(metadata: V1ObjectMeta) -> V1OwnerReference | None:
    return next((each for each in metadata.owner_references or () if each.controller), None)
