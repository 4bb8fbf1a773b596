"""Admission: defaults and validation of objects that are created or updated.

The double checks the fields that it acts on, and keeps all others as they came.
"""

from __future__ import annotations

import copy
import json
import re

from sandbox.kubernetes.objects import statuses
from sandbox.kubernetes.objects.kinds import (
    CRON_JOBS,
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    PODS,
    SERVICE_ACCOUNTS,
    STATEFUL_SETS,
    Kind,
)
from sandbox.kubernetes.objects.objects import Object, Objects
from sandbox.kubernetes.objects.selectors import matches_labels

INJECT = "sandbox.fuse.io/inject"
"""An annotation of a namespace: a container, as JSON, that is put in front of those of each new pod, as meshes do."""
IMAGE = "sandbox.fuse.io/inject-image"
"""An annotation of a namespace: an image that takes the place of the pods' own, as a policy may do."""
NODE = "sandbox-node"
"""The name of the only node: every pod is bound to it."""
REQUIRED = "FieldValueRequired"
INVALID = "FieldValueInvalid"
UNSUPPORTED = "FieldValueNotSupported"
SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
POD_UPDATES = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
IMMUTABLE = "field is immutable"
Cause = tuple[str, str, str]


def admitted(objects: Objects, pod: Object) -> Object:
    """Return a copy of a pod, mutated as its namespace says, with its defaults, Pending, and bound to the only node."""
    pod = copy.deepcopy(pod)
    spec = pod["spec"]
    _mutate(objects, pod["metadata"].get("namespace", ""), spec)
    _default_pod_spec(spec)
    spec.setdefault("nodeName", NODE)
    pod["status"] = {"phase": "Pending", "qosClass": "BestEffort", "conditions": []}
    return pod


def _mutate(objects: Objects, namespace: str, spec: Object) -> None:
    """Change a new pod as mutating webhooks do: whoever made it gets another one back than it asked for."""
    there = objects.find(NAMESPACES, "", namespace) or {"metadata": {}}
    annotations = there["metadata"].get("annotations") or {}
    if IMAGE in annotations:
        for container in spec["containers"]:
            container["image"] = annotations[IMAGE]
    if INJECT in annotations:
        spec["containers"] = [json.loads(annotations[INJECT]), *spec["containers"]]


def _default_pod_spec(spec: Object) -> None:
    for key, value in {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "default",
        "schedulerName": "default-scheduler",
        "securityContext": {},
    }.items():
        spec.setdefault(key, value)
    for container in spec.get("containers") or []:
        container.setdefault("imagePullPolicy", "IfNotPresent")
        container.setdefault("resources", {})
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")


def prepare(objects: Objects, kind: Kind, new: Object) -> Object:
    """Return the object as a create stores it; Refusal 403 or 422."""
    new = copy.deepcopy(new)
    name = new["metadata"]["name"]
    pattern = LABEL if kind is NAMESPACES else SUBDOMAIN
    causes: list[Cause] = []
    if not pattern.match(name) or len(name) > (63 if kind is NAMESPACES else 253):
        causes.append((INVALID, f'Invalid value: "{name}": {RULE}', "metadata.name"))
    if kind is PODS:
        causes += _pod_causes(new.get("spec") or {}, "spec")
    if kind is CRON_JOBS and not (new.get("spec") or {}).get("schedule"):
        causes.append((REQUIRED, "Required value", "spec.schedule"))
    if kind in {DEPLOYMENTS, STATEFUL_SETS}:
        causes += _deployment_causes(new.get("spec") or {})
    if causes:
        raise statuses.invalid(kind.kind, kind.group, name, causes)
    if kind is PODS:
        new = admitted(objects, new)
        _check_account(objects, new)
    else:
        _default(kind, new)
    return new


def _default(kind: Kind, new: Object) -> None:
    """Write what the server adds to a new object of a kind that is no pod."""
    if kind is DEPLOYMENTS:
        spec = new["spec"]
        spec.setdefault("replicas", 1)
        spec.setdefault("revisionHistoryLimit", 10)
        spec.setdefault("progressDeadlineSeconds", 600)
        rolling = {"maxSurge": "25%", "maxUnavailable": "25%"}
        spec.setdefault("strategy", {"type": "RollingUpdate", "rollingUpdate": rolling})
        _default_pod_spec(spec["template"]["spec"])
        new["status"] = {}
    elif kind is STATEFUL_SETS:
        new["spec"].setdefault("replicas", 1)
        new["status"] = {"replicas": 0}
    elif kind is CRON_JOBS:
        new["spec"].setdefault("suspend", False)
        new["spec"].setdefault("concurrencyPolicy", "Allow")
        new["status"] = {}
    elif kind is JOBS:
        new["status"] = {}
    elif kind is NAMESPACES:
        new["spec"] = {"finalizers": ["kubernetes"]}
        new["status"] = {"phase": "Active"}
        new["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = new["metadata"]["name"]


def _check_account(objects: Objects, pod: Object) -> None:
    meta, account = pod["metadata"], pod["spec"]["serviceAccountName"]
    if objects.find(SERVICE_ACCOUNTS, meta["namespace"], account) is None:
        why = f'error looking up service account {meta["namespace"]}/{account}: serviceaccount "{account}" not found'
        raise statuses.forbidden("pods", "", meta["name"], why)


def check_update(kind: Kind, before: Object, after: Object) -> None:
    """Refuse an update that changes an immutable field or makes the object invalid: Refusal 422."""
    name = before["metadata"]["name"]
    causes: list[Cause] = []
    old, new = before.get("spec") or {}, after.get("spec") or {}
    if kind is PODS and _fixed(old) != _fixed(new):
        causes.append(("FieldValueForbidden", f"Forbidden: {POD_UPDATES}", "spec"))
    if kind is DEPLOYMENTS:
        causes += _deployment_causes(new)
        if old["selector"] != new.get("selector"):
            text = f"Invalid value: {_go(new.get('selector'))}: {IMMUTABLE}"
            causes.append((INVALID, text, "spec.selector"))
    if causes:
        raise statuses.invalid(kind.kind, kind.group, name, causes)


def _fixed(spec: Object) -> Object:
    spec = copy.deepcopy(spec)
    for key in ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"):
        spec.pop(key, None)
    for container in spec.get("containers") or []:
        container.pop("image", None)
    return spec


def _go(value: object) -> str:
    return str(value).replace("'", '"')


def _pod_causes(spec: Object, at: str) -> list[Cause]:
    causes: list[Cause] = []
    containers = spec.get("containers") or []
    if not containers:
        causes.append((REQUIRED, "Required value", f"{at}.containers"))
    names: set[str] = set()
    for number, container in enumerate(containers):
        place = f"{at}.containers[{number}]"
        empty = [field for field in ("name", "image") if not container.get(field)]
        causes += [(REQUIRED, "Required value", f"{place}.{field}") for field in empty]
        name = container.get("name", "")
        if name in names:
            causes.append(("FieldValueDuplicate", f'Duplicate value: "{name}"', f"{place}.name"))
        names.add(name)
        volumes = {volume.get("name") for volume in spec.get("volumes") or []}
        for index, mounted in enumerate(container.get("volumeMounts") or []):
            if mounted.get("name") not in volumes:
                text = f'Not found: "{mounted.get("name")}"'
                causes.append(("FieldValueNotFound", text, f"{place}.volumeMounts[{index}].name"))
    policy = spec.get("restartPolicy", "Always")
    if policy not in {"Always", "OnFailure", "Never"}:
        text = f'Unsupported value: "{policy}": supported values: "Always", "OnFailure", "Never"'
        causes.append((UNSUPPORTED, text, f"{at}.restartPolicy"))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= 2**31 - 1:
        text = f"Invalid value: {deadline}: must be between 1 and 2147483647, inclusive"
        causes.append((INVALID, text, f"{at}.activeDeadlineSeconds"))
    return causes


def _deployment_causes(spec: Object) -> list[Cause]:
    causes: list[Cause] = []
    selector = spec.get("selector") or {}
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    if not selector:
        causes.append((REQUIRED, "Required value", "spec.selector"))
    elif not matches_labels(selector, labels):
        text = f"Invalid value: {_go(labels)}: `selector` does not match template `labels`"
        causes.append((INVALID, text, "spec.template.metadata.labels"))
    replicas = spec.get("replicas", 1)
    if not isinstance(replicas, int) or replicas < 0:
        text = f"Invalid value: {replicas}: must be greater than or equal to 0"
        causes.append((INVALID, text, "spec.replicas"))
    template_spec = template.get("spec") or {}
    causes += _pod_causes(template_spec, "spec.template.spec")
    if template_spec.get("restartPolicy", "Always") != "Always":
        text = f'Unsupported value: "{template_spec["restartPolicy"]}": supported values: "Always"'
        causes.append((UNSUPPORTED, text, "spec.template.spec.restartPolicy"))
    return causes
