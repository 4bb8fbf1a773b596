"""Which templates give their containers equal variables, and which workloads that leaves unasked."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes_asyncio.client import (
    V1ConfigMapEnvSource,
    V1Container,
    V1EnvFromSource,
    V1EnvVar,
    V1EnvVarSource,
    V1LabelSelector,
    V1ObjectFieldSelector,
    V1ObjectMeta,
    V1OwnerReference,
    V1Pod,
    V1PodSpec,
    V1PodStatus,
    V1PodTemplateSpec,
    V1ReplicaSet,
    V1ReplicaSetSpec,
    V1SecretEnvSource,
    V1SecretKeySelector,
)

from daemon.adapters.kubernetes.workloads.documents import Lists, workloads
from daemon.adapters.kubernetes.workloads.pod_templates import variables_digest
from daemon.ports.pods.cluster import Workload, Workloads

LABELS = {"app.kubernetes.io/name": "app", "app.kubernetes.io/instance": "blue"}
SELECTOR = "app.kubernetes.io/name=app"


def digest(*env: V1EnvVar, owner: str = "app", labels: dict[str, str] | None = None, **container: Any) -> str:  # noqa: ANN401
    made = V1Container(name="app", **{"image": "app:1", "env": list(env), **container})
    return variables_digest(V1PodSpec(containers=[made]), labels or LABELS, {}, owner)


def of_field(name: str, path: str) -> V1EnvVar:
    return V1EnvVar(name=name, value_from=V1EnvVarSource(field_ref=V1ObjectFieldSelector(field_path=path)))


def of_secret(key: str) -> V1EnvVar:
    reference = V1SecretKeySelector(name="app", key=key)
    return V1EnvVar(name="DATABASE_URL", value_from=V1EnvVarSource(secret_key_ref=reference))


PLAIN = V1EnvVar(name="DATABASE_URL", value="postgresql://u:p@db/app")
OF_LABEL = of_field("DATABASE_URL", "metadata.labels['app.kubernetes.io/instance']")
OF_NAME = of_field("POD", "metadata.name")


def test_what_runs_by_another_command_has_the_same_variables() -> None:
    assert digest(PLAIN) == digest(PLAIN, command=["npm", "run", "worker"])


@pytest.mark.parametrize(
    "other",
    [
        digest(V1EnvVar(name="DATABASE_URL", value="postgresql://u:p@db/other")),
        digest(V1EnvVar(name="DATABASE_URL")),
        digest(PLAIN, image="app:2"),
        digest(PLAIN, env_from=[V1EnvFromSource(config_map_ref=V1ConfigMapEnvSource(name="app"))]),
        digest(PLAIN, env_from=[V1EnvFromSource(secret_ref=V1SecretEnvSource(name="app"))]),
        digest(of_secret("url")),
        digest(of_secret("old-url")),
        digest(),
    ],
)
def test_another_value_image_or_source_is_another_template(other: str) -> None:
    assert other != digest(PLAIN)
    assert digest(of_secret("url")) != digest(of_secret("old-url"))


def test_a_variable_of_a_label_is_another_one_where_the_labels_are() -> None:
    assert digest(OF_LABEL) != digest(OF_LABEL, labels={**LABELS, "app.kubernetes.io/instance": "green"})
    assert digest(OF_LABEL) == digest(OF_LABEL, labels={**LABELS, "pod-template-hash": "5f"})


def test_the_pods_name_tells_templates_apart_only_where_a_value_uses_it() -> None:
    assert digest(OF_NAME, PLAIN) == digest(OF_NAME, PLAIN, owner="app-old")
    uses = V1EnvVar(name="DATABASE_URL", value="postgresql://u:p@db/$(POD)")
    assert digest(OF_NAME, uses) != digest(OF_NAME, uses, owner="app-old")


def test_of_a_template_without_containers_nothing_is_told() -> None:
    assert variables_digest(None, {}, {}, "app") == ""


def replica_set(name: str, owner: str | None, replicas: int, revision: int, value: str) -> V1ReplicaSet:
    """A ReplicaSet of an owner of a kind that is not listed, or of nobody."""
    by = owner or "nobody"
    owners = [V1OwnerReference(api_version="x/v1", kind="CloneSet", name=by, uid=by, controller=True)]
    spec = V1PodSpec(
        containers=[V1Container(name="app", image="app:1", env=[V1EnvVar(name="DATABASE_URL", value=value)])]
    )
    return V1ReplicaSet(
        metadata=V1ObjectMeta(
            name=name,
            uid=name,
            annotations={"deployment.kubernetes.io/revision": str(revision)},
            owner_references=owners if owner else None,
        ),
        spec=V1ReplicaSetSpec(
            replicas=replicas,
            selector=V1LabelSelector(),
            template=V1PodTemplateSpec(metadata=V1ObjectMeta(labels=LABELS), spec=spec),
        ),
    )


def unasked(*sets: V1ReplicaSet, pods: tuple[V1Pod, ...] = (), asked: str = "") -> list[str]:
    found: tuple[Workload, ...] = tuple(workloads(Lists(pods, [], [], sets, [], {})))
    return [each.name for each in Workloads(found).unasked(SELECTOR, {asked})]


def test_c1_former_replica_sets_at_0_are_no_workloads_of_their_own_whoever_owns_them() -> None:
    former, present = (
        replica_set("app-1", "app", 0, revision=1, value="a"),
        replica_set("app-2", "app", 1, revision=2, value="b"),
    )
    assert unasked(former, present, asked="app-2") == []
    assert unasked(former, present) == ["app"]


def test_c1_of_an_owner_at_0_the_newest_replica_set_is_what_it_would_run() -> None:
    asked = replica_set("other-1", "other", 1, revision=1, value="b")
    newest = replica_set("app-2", "app", 0, revision=2, value="b")
    assert (
        unasked(replica_set("app-1", "app", 0, revision=1, value="a"), newest, asked, asked="other-1") == []
    )
    newest = replica_set("app-1", "app", 0, revision=3, value="a")
    assert unasked(newest, replica_set("app-2", "app", 0, 2, "b"), asked, asked="other-1") == ["app"]


def test_c1_a_replica_set_at_0_of_nobody_is_a_workload_of_its_own() -> None:
    asked = replica_set("app-2", None, 1, revision=2, value="b")
    assert unasked(replica_set("app-1", None, 0, 1, "a"), asked, asked="app-2") == ["app-1"]


@pytest.mark.parametrize(
    ("kind", "phase", "told"),
    [("DaemonSet", "Pending", True), ("DaemonSet", "Failed", False), ("Job", "Pending", False)],
)
def test_c1_a_pod_that_is_not_ready_is_unasked_unless_it_has_ended_or_is_of_a_job(
    kind: str, phase: str, *, told: bool
) -> None:
    owner = V1OwnerReference(api_version="x/v1", kind=kind, name="agent", uid="agent", controller=True)
    made = V1Pod(
        metadata=V1ObjectMeta(name="agent-1", labels=LABELS, owner_references=[owner]),
        spec=V1PodSpec(containers=[V1Container(name="app", image="app:1")]),
        status=V1PodStatus(phase=phase),
    )
    assert unasked(pods=(made,)) == (["agent"] if told else [])
