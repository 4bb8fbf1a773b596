"""The kinds that the double serves, and how a URL path names one of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Kind:
    """One served resource. `custom`: in a real cluster it comes from a CustomResourceDefinition."""

    group: str
    version: str
    plural: str
    kind: str
    short: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    namespaced: bool = True
    custom: bool = False

    @property
    def api_version(self) -> str:
        """What objects of the kind have as `apiVersion`: `v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        """The name that kubectl accepts beside the plural."""
        return self.kind.lower()


NAMESPACES = Kind("", "v1", "namespaces", "Namespace", ("ns",), ("status",), namespaced=False)
NODES = Kind("", "v1", "nodes", "Node", ("no",), ("status",), namespaced=False)
PODS = Kind("", "v1", "pods", "Pod", ("po",), ("status", "log", "exec", "eviction"))
CONFIG_MAPS = Kind("", "v1", "configmaps", "ConfigMap", ("cm",))
SECRETS = Kind("", "v1", "secrets", "Secret")
SERVICE_ACCOUNTS = Kind("", "v1", "serviceaccounts", "ServiceAccount", ("sa",))
SERVICES = Kind("", "v1", "services", "Service", ("svc",), ("status",))
DEPLOYMENTS = Kind("apps", "v1", "deployments", "Deployment", ("deploy",), ("status", "scale"))
REPLICA_SETS = Kind("apps", "v1", "replicasets", "ReplicaSet", ("rs",), ("status", "scale"))
STATEFUL_SETS = Kind("apps", "v1", "statefulsets", "StatefulSet", ("sts",), ("status", "scale"))
ROLLOUTS = Kind("argoproj.io", "v1alpha1", "rollouts", "Rollout", ("ro",), ("status", "scale"), custom=True)
CRON_JOBS = Kind("batch", "v1", "cronjobs", "CronJob", ("cj",), ("status",))
JOBS = Kind("batch", "v1", "jobs", "Job", (), ("status",))
SCALED_OBJECTS = Kind(
    "keda.sh", "v1alpha1", "scaledobjects", "ScaledObject", ("so",), ("status",), custom=True
)
SCALED_JOBS = Kind("keda.sh", "v1alpha1", "scaledjobs", "ScaledJob", ("sj",), ("status",), custom=True)
OPTIONAL = (ROLLOUTS, SCALED_OBJECTS, SCALED_JOBS)
"""Served once the cluster has the CustomResourceDefinition of that name."""
DEFINITIONS = Kind(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    ("crd",),
    namespaced=False,
)
_RBAC = "rbac.authorization.k8s.io"
ROLES = Kind(_RBAC, "v1", "roles", "Role")
ROLE_BINDINGS = Kind(_RBAC, "v1", "rolebindings", "RoleBinding")
CLUSTER_ROLES = Kind(_RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDINGS = Kind(_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False)
AUTOSCALERS = Kind("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", ("hpa",))
APPLICATIONS = Kind("argoproj.io", "v1alpha1", "applications", "Application", ("app", "apps"), custom=True)

KINDS = (
    NAMESPACES,
    NODES,
    PODS,
    CONFIG_MAPS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    DEPLOYMENTS,
    REPLICA_SETS,
    STATEFUL_SETS,
    AUTOSCALERS,
    APPLICATIONS,
    ROLLOUTS,
    CRON_JOBS,
    JOBS,
    SCALED_OBJECTS,
    SCALED_JOBS,
    DEFINITIONS,
    ROLES,
    ROLE_BINDINGS,
    CLUSTER_ROLES,
    CLUSTER_ROLE_BINDINGS,
)
ROLLOUT_DEFINITION = f"{ROLLOUTS.plural}.{ROLLOUTS.group}"


def served(definitions: Collection[str]) -> tuple[Kind, ...]:
    """Return the kinds that the server serves now, by the names of its CustomResourceDefinitions."""
    return tuple(
        kind for kind in KINDS if kind not in OPTIONAL or f"{kind.plural}.{kind.group}" in definitions
    )


BY_PATH = {(kind.group, kind.version, kind.plural): kind for kind in KINDS}


@dataclass(frozen=True)
class Target:
    """What a request path names; `namespace`, `name` and `subresource` are empty when it names none."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def parse(path: str) -> Target | None:
    """The target of a path `/api/v1/...` or `/apis/GROUP/VERSION/...`; None when nothing is served there."""
    match [part for part in path.split("/") if part]:
        case ["api", version, *rest]:
            group = ""
        case ["apis", group, version, *rest]:
            pass
        case _:
            return None
    namespace = ""
    match rest:
        case ["namespaces", namespace, plural, *rest] if plural not in NAMESPACES.subresources:
            pass
        case [plural, *rest]:
            namespace = ""
        case _:
            return None
    match rest:
        case []:
            name, subresource = "", ""
        case [name]:
            subresource = ""
        case [name, subresource]:
            pass
        case _:
            return None
    kind = BY_PATH.get((group, version, plural))
    if kind is None or (namespace and not kind.namespaced):
        return None
    if (subresource and subresource not in kind.subresources) or (name and kind.namespaced and not namespace):
        return None
    return Target(kind, namespace, name, subresource)
