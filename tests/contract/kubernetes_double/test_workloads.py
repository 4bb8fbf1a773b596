"""Deployments, ReplicaSets, Applications: replacement, scaling, rollouts, self-heal."""

from __future__ import annotations

import asyncio

from tests.contract.kubernetes_double.stand import Api

DEPLOYMENT = "/apis/apps/v1/namespaces/demo-sandbox/deployments/app"
PODS = "/api/v1/namespaces/demo-sandbox/pods"
APPLICATION = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/demo-sandbox"
MERGE = "application/merge-patch+json"


async def set_self_heal(api: Api, *, on: bool) -> None:
    automated = {"prune": True, "selfHeal": True} if on else None
    body = {"spec": {"syncPolicy": {"automated": automated}}}
    assert (await api.call("PATCH", APPLICATION, body, MERGE)).code == 200


async def scale(api: Api, replicas: int) -> None:
    answer = await api.call("PATCH", f"{DEPLOYMENT}/scale", {"spec": {"replicas": replicas}}, MERGE)
    assert answer.body["spec"]["replicas"] == replicas


async def test_a_pod_belongs_to_a_replica_set_that_belongs_to_the_deployment(api: Api) -> None:
    [pod] = await api.pods()
    meta = pod["metadata"]
    [owner] = meta["ownerReferences"]
    path = f"/apis/apps/v1/namespaces/demo-sandbox/replicasets/{owner['name']}"
    replica_set = (await api.call("GET", path)).body
    deployment = (await api.call("GET", DEPLOYMENT)).body
    assert (owner["kind"], owner["uid"]) == ("ReplicaSet", replica_set["metadata"]["uid"])
    assert replica_set["metadata"]["ownerReferences"][0]["uid"] == deployment["metadata"]["uid"]
    code = meta["labels"]["pod-template-hash"]
    assert owner["name"] == f"app-{code}"
    assert meta["name"].startswith(f"app-{code}-")
    assert meta["labels"]["app.kubernetes.io/name"] == "app"
    assert pod["status"]["containerStatuses"][0]["imageID"].startswith("fuse/app@sha256:")


async def test_a_deleted_pod_is_replaced_by_another(api: Api) -> None:
    [before] = await api.pods()
    name = before["metadata"]["name"]
    deleted = await api.call("DELETE", f"{PODS}/{name}")
    assert "deletionTimestamp" in deleted.body["metadata"]
    await api.until(f"{PODS}/{name}", lambda answer: answer.get("code") == 404)
    [after] = await api.pods()
    assert after["metadata"]["uid"] != before["metadata"]["uid"]


async def test_with_self_heal_replicas_go_back_to_what_git_says(api: Api) -> None:
    await api.pods()
    await scale(api, 0)
    await api.until(DEPLOYMENT, lambda one: one["spec"]["replicas"] == 1)
    await api.pods()
    await api.until(APPLICATION, lambda one: one["status"]["health"]["status"] == "Healthy")


async def test_without_self_heal_a_deployment_stays_at_zero_and_out_of_sync(api: Api) -> None:
    await api.pods()
    await set_self_heal(api, on=False)
    await scale(api, 0)
    await api.pods(0)
    found = await api.until(APPLICATION, lambda one: one["status"]["sync"]["status"] == "OutOfSync")
    reconciled = found["status"]["reconciledAt"]
    later = await api.until(APPLICATION, lambda one: one["status"]["reconciledAt"] != reconciled)
    assert later["status"]["sync"]["status"] == "OutOfSync"
    assert (await api.call("GET", DEPLOYMENT)).body["spec"]["replicas"] == 0
    await set_self_heal(api, on=True)
    await api.pods()


async def test_a_changed_template_rolls_to_a_new_replica_set(api: Api) -> None:
    [before] = await api.pods()
    annotations = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
    body = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
    strategic = "application/strategic-merge-patch+json"
    assert (await api.call("PATCH", DEPLOYMENT, body, strategic)).code == 200
    await api.until(APPLICATION, lambda one: one["status"]["health"]["status"] == "Progressing")
    await api.until(f"{PODS}/{before['metadata']['name']}", lambda answer: answer.get("code") == 404)
    [after] = await api.pods()
    labels = [one["metadata"]["labels"]["pod-template-hash"] for one in (before, after)]
    assert labels[0] != labels[1]
    revision = (await api.call("GET", DEPLOYMENT)).body["metadata"]["annotations"]
    assert revision["deployment.kubernetes.io/revision"] == "2"


async def test_an_application_says_synced_healthy_and_succeeded(api: Api) -> None:
    await api.pods()
    found = await api.until(APPLICATION, lambda one: one["status"]["health"]["status"] == "Healthy")
    assert found["status"]["sync"]["status"] == "Synced"
    assert found["status"]["operationState"]["phase"] == "Succeeded"
    assert found["spec"]["destination"]["namespace"] == "demo-sandbox"


async def test_a_dict_as_json_patch_of_an_application_is_refused(api: Api) -> None:
    json_patch = "application/json-patch+json"
    refused = await api.call("PATCH", APPLICATION, {"spec": {"project": "x"}}, json_patch)
    assert refused.code == 400
    assert refused.body["message"] == ("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    operations = [{"op": "add", "path": "/metadata/annotations", "value": {"note": "x"}}]
    patched = await api.call("PATCH", APPLICATION, operations, json_patch)
    assert patched.body["metadata"]["annotations"] == {"note": "x"}
    strategic = "application/strategic-merge-patch+json"
    assert (await api.call("PATCH", APPLICATION, {"spec": {}}, strategic)).code == 415


async def test_an_environment_can_be_provisioned_later(api: Api) -> None:
    path = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/other-sandbox"
    assert (await api.call("GET", path)).code == 404
    assert (await api.call("POST", "/sandbox/environments/nobody-sandbox")).code == 404
    assert (await api.call("POST", "/sandbox/environments/other-sandbox")).code == 201
    await api.pods(namespace="other-sandbox")
    await api.until(path, lambda one: one["status"]["health"]["status"] == "Healthy")
    gone = "/api/v1/namespaces/other-sandbox"
    assert (await api.call("DELETE", gone)).body["status"]["phase"] == "Terminating"
    refused = await api.call("POST", f"{gone}/configmaps", {"metadata": {"name": "late"}, "data": {}})
    # Forbidden while it goes; not found where it went before this was asked.
    assert refused.code in {403, 404}
    await api.until(gone, lambda answer: answer.get("code") == 404)
    await api.call("DELETE", path)


async def test_several_replicas_are_served_and_taken_away(api: Api) -> None:
    await api.pods()
    await set_self_heal(api, on=False)
    await scale(api, 3)
    assert len(await api.pods(3)) == 3
    await asyncio.gather(scale(api, 1))
    await api.pods(1)
    await set_self_heal(api, on=True)
