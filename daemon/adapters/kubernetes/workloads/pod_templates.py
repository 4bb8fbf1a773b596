"""Which templates of pods give their containers the same variables.

A workload that has no pod can't be asked which variables its pods get. Where its template says the same about them as
the template of a pod that was asked, that pod has answered for it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from kubernetes_asyncio.client import ApiClient, V1Container, V1EnvVar, V1PodSpec, V1PodTemplateSpec

HASHES = frozenset({"pod-template-hash", "rollouts-pod-template-hash"})
"""Labels that a controller adds to a template's own."""
_OF_ONE_POD = frozenset(
    {"controller-revision-hash", "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"}
)


def variables_digest(
    spec: V1PodSpec | None, labels: Mapping[str, str], annotations: Mapping[str, str], owner: str
) -> str:
    """Return a text that is equal for pods whose containers get equal variables; empty where nothing can be told.

    It covers names, images, `env` and `envFrom` of all containers, and what of the pod itself these refer to.

    Args:
        spec: Of the template, or of a pod.
        labels: The pod's, by its template.
        annotations: The pod's, by its template.
        owner: The name of the workload, after which its pods are named.
    """
    if not spec or not spec.containers:
        return ""
    of_pod = {"labels": _without_hash(labels), "annotations": dict(annotations), "owner": owner}
    of_pod["account"] = spec.service_account_name or "default"
    said = [
        _container(container, of_pod)
        for container in sorted(spec.containers, key=lambda each: str(each.name))
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def template_variables(template: V1PodTemplateSpec | None, owner: str) -> str:
    """Return `variables_digest` of the pods that a workload of this name makes by its template."""
    if template is None:
        return ""
    metadata = template.metadata
    labels, annotations = (metadata.labels, metadata.annotations) if metadata else (None, None)
    return variables_digest(template.spec, labels or {}, annotations or {}, owner)


def read_template(rest: ApiClient, template: object) -> V1PodTemplateSpec | None:
    """Read a template that came as JSON, of whose form nobody can be sure; None where it is none."""
    written: Any = SimpleNamespace(data=json.dumps(template))
    try:
        read: V1PodTemplateSpec | None = rest.deserialize(written, "V1PodTemplateSpec")
    except (ValueError, TypeError, AttributeError):
        return None
    return read


def _container(container: V1Container, of_pod: Mapping[str, Any]) -> list[Any]:
    values = "\n".join(str(each.value) for each in container.env or () if each.value)
    return [
        container.name,
        container.image,
        [_variable(each, of_pod, values) for each in container.env or ()],
        [_plain(each.to_dict()) for each in container.env_from or ()],
    ]


def _variable(variable: V1EnvVar, of_pod: Mapping[str, Any], values: str) -> list[Any]:
    source = variable.value_from
    if not source:
        return [variable.name, variable.value or ""]
    if source.resource_field_ref:
        return [variable.name, "resource", source.resource_field_ref.resource]
    if not source.field_ref:
        return [variable.name, _plain(source.to_dict())]
    path = str(source.field_ref.field_path)
    referred = f"$({variable.name})" in values
    return [variable.name, path, list(_of_field(path, of_pod, referred=referred))]


def _of_field(path: str, of_pod: Mapping[str, Any], *, referred: bool) -> Iterator[Any]:
    """Yield what a field is in all pods of the template. Addresses, nodes and uids differ within one as well."""
    for kind in ("labels", "annotations"):
        if path.startswith(f"metadata.{kind}"):
            yield of_pod[kind]
    if path == "spec.serviceAccountName":
        yield of_pod["account"]
    if path == "metadata.name" and referred:
        yield of_pod["owner"]


def _plain(document: object) -> object:
    """Leave out what is not set, so that a document with defaults equals one without them."""
    if isinstance(document, dict):
        return {name: _plain(value) for name, value in document.items() if value not in (None, "", False)}
    return document


def _without_hash(labels: Mapping[str, str]) -> dict[str, str]:
    return {label: value for label, value in labels.items() if label not in HASHES | _OF_ONE_POD}
