"""What the API server answers and refuses: Statuses, selectors, versions, watches, patches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.kubernetes.launch import Running
from tests.contract.kubernetes_double.stand import NAMESPACE, Api

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
MERGE = "application/merge-patch+json"
JSON = "application/json-patch+json"


async def make(api: Api, name: str, **labels: str) -> dict[str, Any]:
    body = {"metadata": {"name": name, "labels": labels}, "data": {"a": "1"}}
    answer = await api.call("POST", MAPS, body)
    assert answer.code == 201
    made: dict[str, Any] = answer.body
    return made


@pytest.fixture(autouse=True)
async def tidy(api: Api) -> AsyncIterator[None]:
    yield
    await api.call("DELETE", MAPS)


async def test_without_the_token_there_is_only_unauthorized(api: Api) -> None:
    api.headers = {"Authorization": "Bearer guess"}
    answer = await api.call("GET", MAPS)
    assert (answer.code, answer.body["reason"], answer.body["message"]) == (
        401,
        "Unauthorized",
        "Unauthorized",
    )


async def test_a_missing_object_is_named_with_its_group(api: Api) -> None:
    answer = await api.call("GET", "/apis/apps/v1/namespaces/default/deployments/none")
    assert answer.body["message"] == 'deployments.apps "none" not found'
    assert answer.body["details"] == {"name": "none", "group": "apps", "kind": "deployments"}
    assert (await api.call("GET", "/apis/nobody.io/v1/things")).body == "404 page not found\n"


async def test_a_name_is_taken_once(api: Api) -> None:
    await make(api, "twice")
    again = await api.call("POST", MAPS, {"metadata": {"name": "twice"}})
    assert (again.code, again.body["reason"]) == (409, "AlreadyExists")
    assert again.body["message"] == 'configmaps "twice" already exists'


async def test_an_update_from_an_old_version_is_a_conflict(api: Api) -> None:
    old = await make(api, "contested")
    new = await api.call("PUT", f"{MAPS}/contested", old | {"data": {"a": "2"}})
    assert new.code == 200
    assert int(new.body["metadata"]["resourceVersion"]) > int(old["metadata"]["resourceVersion"])
    late = await api.call("PUT", f"{MAPS}/contested", old | {"data": {"a": "3"}})
    assert (late.code, late.body["reason"]) == (409, "Conflict")
    assert "the object has been modified" in late.body["message"]
    stale = {"metadata": {"resourceVersion": old["metadata"]["resourceVersion"]}, "data": {"a": "4"}}
    assert (await api.call("PATCH", f"{MAPS}/contested", stale, MERGE)).code == 409
    wrong = {"preconditions": {"uid": "another"}}
    refused = await api.call("DELETE", f"{MAPS}/contested", wrong)
    assert (refused.code, refused.body["reason"]) == (409, "Conflict")


async def test_an_update_that_changes_nothing_keeps_the_version(api: Api) -> None:
    made = await make(api, "same")
    again = await api.call("PATCH", f"{MAPS}/same", {"data": {"a": "1"}}, MERGE)
    assert again.body["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("tier=front", ["one"]),
        ("tier!=front", ["three", "two"]),
        ("tier in (front, back)", ["one", "two"]),
        ("tier notin (front)", ["three", "two"]),
        ("tier", ["one", "two"]),
        ("!tier", ["three"]),
        ("tier,tier!=back", ["one"]),
    ],
)
async def test_label_selectors_select(api: Api, selector: str, found: list[str]) -> None:
    await make(api, "one", tier="front")
    await make(api, "two", tier="back")
    await make(api, "three")
    answer = await api.call("GET", MAPS, labelSelector=selector)
    assert [one["metadata"]["name"] for one in answer.body["items"]] == found


async def test_selectors_that_cannot_be_read_are_refused(api: Api) -> None:
    assert (await api.call("GET", MAPS, labelSelector="a=b=c")).code == 400
    unknown = await api.call("GET", PODS, fieldSelector="spec.colour=red")
    assert unknown.code == 400
    assert "field label not supported: spec.colour" in unknown.body["message"]
    assert (await api.call("GET", PODS, fieldSelector="status.phase=Running")).body["items"] == []


async def test_a_long_list_comes_in_pages(api: Api) -> None:
    for name in ("a", "b", "c"):
        await make(api, name)
    first = (await api.call("GET", MAPS, limit="2")).body
    assert [one["metadata"]["name"] for one in first["items"]] == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] == 1
    rest = (await api.call("GET", MAPS, **{"limit": "2", "continue": first["metadata"]["continue"]})).body
    assert [one["metadata"]["name"] for one in rest["items"]] == ["c"]
    assert "continue" not in rest["metadata"]


async def test_a_watch_tells_what_came_after_its_version(api: Api) -> None:
    version = (await api.call("GET", MAPS)).body["metadata"]["resourceVersion"]
    watching = asyncio.create_task(
        api.watch(MAPS, resourceVersion=version, timeoutSeconds="1", allowWatchBookmarks="true")
    )
    await make(api, "seen", tier="front")
    await api.call("PATCH", f"{MAPS}/seen", {"data": {"a": "2"}}, MERGE)
    await api.call("DELETE", f"{MAPS}/seen")
    events = await watching
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(versions)


async def test_leaving_a_selection_is_a_deletion_to_its_watcher(api: Api) -> None:
    version = (await make(api, "moving", tier="front"))["metadata"]["resourceVersion"]
    for tier in ("back", "front"):
        await api.call("PATCH", f"{MAPS}/moving", {"metadata": {"labels": {"tier": tier}}}, MERGE)
    events = await api.watch(MAPS, resourceVersion=version, labelSelector="tier=front", timeoutSeconds="1")
    assert [event["type"] for event in events] == ["DELETED", "ADDED"]


async def test_a_watch_from_a_forgotten_version_is_gone(api: Api) -> None:
    [event] = await api.watch(MAPS, resourceVersion="1", timeoutSeconds="1")
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")


async def test_json_patches_are_applied_or_refused_whole(api: Api) -> None:
    await make(api, "patched")
    path = f"{MAPS}/patched"
    done = await api.call(
        "PATCH",
        path,
        [
            {"op": "test", "path": "/data/a", "value": "1"},
            {"op": "add", "path": "/data/b~1c", "value": "2"},
            {"op": "remove", "path": "/data/a"},
        ],
        JSON,
    )
    assert done.body["data"] == {"b/c": "2"}
    for operation in (
        {"op": "test", "path": "/data/a", "value": "1"},
        {"op": "remove", "path": "/data/none"},
        {"op": "replace", "path": "/none/x", "value": 1},
    ):
        refused = await api.call(
            "PATCH", path, [{"op": "add", "path": "/data/z", "value": "9"}, operation], JSON
        )
        assert (refused.code, refused.body["reason"]) == (422, "Invalid")
    assert (await api.call("GET", path)).body["data"] == {"b/c": "2"}


async def test_a_merge_patch_removes_with_null(api: Api) -> None:
    await make(api, "merged")
    answer = await api.call("PATCH", f"{MAPS}/merged", {"data": {"a": None, "b": "2"}}, MERGE)
    assert answer.body["data"] == {"b": "2"}
    refused = await api.call("PATCH", f"{MAPS}/merged", [1], MERGE)
    assert refused.code == 400


async def test_invalid_objects_are_refused_with_every_cause(api: Api) -> None:
    nameless = await api.call("POST", PODS, {"metadata": {}, "spec": {"containers": []}})
    assert nameless.code == 422
    answer = await api.call("POST", PODS, {"metadata": {"name": "Bad_Name"}, "spec": {}})
    assert (answer.code, answer.body["reason"]) == (422, "Invalid")
    fields = [cause["field"] for cause in answer.body["details"]["causes"]]
    assert fields == ["metadata.name", "spec.containers"]
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {}, "spec": {}}}
    deployments = "/apis/apps/v1/namespaces/default/deployments"
    answer = await api.call("POST", deployments, {"metadata": {"name": "x"}, "spec": spec})
    assert "`selector` does not match template `labels`" in answer.body["message"]


async def test_a_pod_in_a_missing_namespace_or_with_a_missing_account_is_refused(api: Api) -> None:
    container = {"name": "main", "image": "fuse/app"}
    body = {"metadata": {"name": "x"}, "spec": {"containers": [container]}}
    missing = await api.call("POST", "/api/v1/namespaces/none/pods", body)
    assert missing.body["message"] == 'namespaces "none" not found'
    body["spec"]["serviceAccountName"] = "nobody"  # type: ignore[index]
    refused = await api.call("POST", PODS, body)
    assert refused.code == 403
    assert 'serviceaccount "nobody" not found' in refused.body["message"]
    other = body | {"metadata": {"name": "x", "namespace": "kube-system"}}
    assert (await api.call("POST", PODS, other)).code == 400


async def test_most_of_a_running_pod_cannot_be_changed(api: Api) -> None:
    name = (await api.pods())[0]["metadata"]["name"]
    path = f"/api/v1/namespaces/demo-sandbox/pods/{name}"
    answer = await api.call("PATCH", path, {"spec": {"restartPolicy": "Never"}}, MERGE)
    assert answer.code == 422
    assert "pod updates may not change fields other than" in answer.body["message"]
    labelled = await api.call("PATCH", path, {"metadata": {"labels": {"extra": "1"}}}, MERGE)
    assert labelled.body["metadata"]["labels"]["extra"] == "1"


async def test_a_dry_run_stores_nothing(api: Api) -> None:
    tried = await api.call("POST", MAPS, {"metadata": {"name": "tried"}}, dryRun="All")
    assert tried.code == 201
    assert (await api.call("GET", f"{MAPS}/tried")).code == 404


async def test_a_viewer_reads_but_does_not_write(api: Api, viewer: Api) -> None:
    await make(api, "shown")
    assert (await viewer.call("GET", f"{MAPS}/shown")).code == 200
    refused = await viewer.call("DELETE", f"{MAPS}/shown")
    assert (refused.code, refused.body["reason"]) == (403, "Forbidden")
    assert (await viewer.call("GET", "/api/v1/secrets")).code == 403


async def test_discovery_names_what_is_served(api: Api) -> None:
    assert (await api.call("GET", "/version")).body["major"] == "1"
    groups = (await api.call("GET", "/apis")).body["groups"]
    assert {group["name"] for group in groups} == {
        "apiextensions.k8s.io",
        "apps",
        "argoproj.io",
        "autoscaling",
        "batch",
        "rbac.authorization.k8s.io",
    }
    served = (await api.call("GET", "/api/v1")).body["resources"]
    assert {"pods", "pods/exec", "pods/log", "namespaces"} <= {one["name"] for one in served}


async def test_rollouts_are_served_once_their_definition_is_there(api: Api) -> None:
    path = f"/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/rollouts"
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert (await api.call("GET", path)).code == 404
    await api.call("POST", definitions, {"metadata": {"name": "rollouts.argoproj.io"}})
    assert (await api.call("GET", path)).body["items"] == []
    await api.call("DELETE", f"{definitions}/rollouts.argoproj.io")
    assert (await api.call("GET", path)).code == 404


async def test_a_service_account_may_do_what_its_roles_give_it_and_nothing_else(
    double: Running, api: Api, session: aiohttp.ClientSession
) -> None:
    account = Api(str(Path(double.kubeconfig).with_name("account.kubeconfig")), session)
    pods, rbac = f"/api/v1/namespaces/{NAMESPACE}/pods", "/apis/rbac.authorization.k8s.io/v1"
    refused = await account.call("GET", pods)
    assert refused.code == 403
    assert "system:serviceaccount:resetd:resetd" in refused.body["message"]
    role = {
        "metadata": {"name": "reads"},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}],
    }
    binding = {
        "metadata": {"name": "reads"},
        "subjects": [{"kind": "ServiceAccount", "name": "resetd", "namespace": "resetd"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reads"},
    }
    for plural, body in (("roles", role), ("rolebindings", binding)):
        assert (await api.call("POST", f"{rbac}/namespaces/{NAMESPACE}/{plural}", body)).code == 201
    assert (await account.call("GET", pods)).code == 200
    assert (await account.call("GET", pods, watch="true", timeoutSeconds="1")).code == 403
    assert (await account.call("GET", "/api/v1/pods")).code == 403
    assert (await account.call("GET", "/api/v1/namespaces/default/pods")).code == 403
    for plural in ("roles", "rolebindings"):
        await api.call("DELETE", f"{rbac}/namespaces/{NAMESPACE}/{plural}/reads")
