"""What a container is: namespaces of its own, restarts, volumes, logs, bare pods."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.kubernetes.launch import Running
from tests.contract.kubernetes_double.stand import Api

PODS = "/api/v1/namespaces/demo-sandbox/pods"


def holder(name: str, *command: str, **spec: object) -> dict[str, Any]:
    """A bare pod as a reset makes one."""
    container = {"name": "main", "image": "fuse/app:1.0.0", "command": list(command)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"restartPolicy": "Never", "containers": [container]} | spec,
    }


async def incarnation(api: Api, pod: str) -> str:
    stat = await api.output(pod, "read line < /proc/1/stat; echo $line")
    return stat.split()[21]


@pytest.fixture(autouse=True)
def with_namespaces(double: Running) -> None:
    if not double.ready["namespaces"]:
        pytest.skip("this machine refuses namespaces, and the ready line says so")


async def test_two_containers_have_their_own_processes_tmp_and_shm(api: Api) -> None:
    first = await api.pod()
    await api.call("POST", PODS, holder("second", "sleep", "infinity"))
    await api.until(f"{PODS}/second", lambda pod: pod["status"]["phase"] == "Running")
    assert await incarnation(api, first) != await incarnation(api, "second")
    await api.output(first, "echo x > /tmp/private; echo x > /dev/shm/private")
    gone = "test ! -e /tmp/private && test ! -e /dev/shm/private && echo nothing"
    assert await api.output("second", gone) == "nothing"
    assert (await api.output("second", "pgrep -a -x sleep")).split()[1:] == ["sleep", "infinity"]
    await api.call("DELETE", f"{PODS}/second", gracePeriodSeconds="0")


async def test_a_restart_has_another_container_id_and_tmp_but_the_same_pod_and_volumes(api: Api) -> None:
    pod = await api.pod()
    before = (await api.call("GET", f"{PODS}/{pod}")).body
    ticks = await incarnation(api, pod)
    await api.output(pod, "touch /tmp/lost /tmp/cache/kept /dev/shm/kept")
    await api.run(pod, "sh", "-c", "kill -TERM 1")
    after = await api.until(
        f"{PODS}/{pod}",
        lambda found: (
            found["status"]["containerStatuses"][0]["restartCount"] == 1
            and found["status"]["containerStatuses"][0]["ready"]
        ),
    )
    old, new = (one["status"]["containerStatuses"][0] for one in (before, after))
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert new["containerID"] != old["containerID"]
    assert new["lastState"]["terminated"]["exitCode"] == 143
    assert new["lastState"]["terminated"]["containerID"] == old["containerID"]
    assert await incarnation(api, pod) != ticks
    script = "test ! -e /tmp/lost && test -e /tmp/cache/kept && test -e /dev/shm/kept && echo so"
    assert await api.output(pod, script) == "so"


async def test_a_start_script_that_fails_again_and_again_is_a_crash_loop(api: Api) -> None:
    body = holder("crasher", restartPolicy="Always")
    body["spec"]["containers"] = [{"name": "main", "image": "fuse/crash"}]
    await api.call("POST", PODS, body)
    found = await api.until(
        f"{PODS}/crasher",
        lambda pod: (
            (pod["status"].get("containerStatuses") or [{"restartCount": 0}])[0]["restartCount"] > 1
            and "waiting" in pod["status"]["containerStatuses"][0]["state"]
        ),
    )
    status = found["status"]["containerStatuses"][0]
    assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert status["lastState"]["terminated"]["exitCode"] == 3
    assert found["status"]["phase"] == "Running"
    assert (await api.call("GET", f"{PODS}/crasher/log")).body == "crashing\n"
    await api.call("DELETE", f"{PODS}/crasher")
    await api.until(f"{PODS}/crasher", lambda answer: answer.get("code") == 404)


async def test_a_missing_image_and_a_missing_program_are_told(api: Api) -> None:
    lost = holder("lost", "true")
    lost["spec"]["containers"][0]["image"] = "fuse/lost:1"
    await api.call("POST", PODS, lost)
    await api.call("POST", PODS, holder("startless", "no-such-program"))
    await api.until(
        f"{PODS}/lost",
        lambda pod: "ImagePullBackOff" in str(pod["status"].get("containerStatuses")),
    )
    pod = await api.until(f"{PODS}/startless", lambda found: found["status"]["phase"] == "Failed")
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
    waiting = await api.call("GET", f"{PODS}/lost/log")
    assert waiting.code == 400
    assert waiting.body["message"] == 'container "main" in pod "lost" is waiting to start: ImagePullBackOff'
    for name in ("lost", "startless"):
        await api.call("DELETE", f"{PODS}/{name}", gracePeriodSeconds="0")


async def test_a_bare_pod_ends_once_and_is_succeeded_or_failed(api: Api) -> None:
    await api.call("POST", PODS, holder("good", "sh", "-c", "echo done"))
    await api.call("POST", PODS, holder("bad", "sh", "-c", "exit 9"))
    await api.until(f"{PODS}/good", lambda pod: pod["status"]["phase"] == "Succeeded")
    bad = await api.until(f"{PODS}/bad", lambda pod: pod["status"]["phase"] == "Failed")
    assert bad["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 9
    for name in ("good", "bad"):
        await api.call("DELETE", f"{PODS}/{name}")


async def test_a_pod_past_its_deadline_fails(api: Api) -> None:
    body = holder("late", "sleep", "infinity", activeDeadlineSeconds=1, terminationGracePeriodSeconds=1)
    await api.call("POST", PODS, body)
    late = await api.until(f"{PODS}/late", lambda pod: pod["status"]["phase"] == "Failed")
    assert late["status"]["reason"] == "DeadlineExceeded"
    await api.call("DELETE", f"{PODS}/late")


async def test_termination_asks_first_and_kills_after_the_grace(api: Api) -> None:
    script = "trap 'echo asked' TERM; echo up; while true; do sleep 0.1; done"
    await api.call("POST", PODS, holder("stubborn", "sh", "-c", script, terminationGracePeriodSeconds=1))
    await api.until(f"{PODS}/stubborn/log", lambda text: text == "up\n")
    deleted = await api.call("DELETE", f"{PODS}/stubborn")
    assert deleted.body["metadata"]["deletionGracePeriodSeconds"] == 1
    await api.until(f"{PODS}/stubborn/log", lambda text: text == "up\nasked\n")
    await api.until(f"{PODS}/stubborn", lambda answer: answer.get("code") == 404)


async def test_logs_can_be_cut_to_their_tail_and_stamped(api: Api) -> None:
    await api.call("POST", PODS, holder("talker", "sh", "-c", "seq 5; echo err >&2; sleep 1000"))
    whole = await api.until(f"{PODS}/talker/log", lambda text: str(text).count("\n") == 6)
    assert set(whole.split()) == {"1", "2", "3", "4", "5", "err"}
    assert (await api.call("GET", f"{PODS}/talker/log", tailLines="2")).body.count("\n") == 2
    assert (await api.call("GET", f"{PODS}/talker/log", tailLines="0")).body == ""
    stamped = (await api.call("GET", f"{PODS}/talker/log", timestamps="true")).body.splitlines()
    assert all("T" in line.split()[0] and line.split()[0].endswith("Z") for line in stamped)
    none = await api.call("GET", f"{PODS}/talker/log", previous="true")
    assert none.code == 400
    await api.call("DELETE", f"{PODS}/talker", gracePeriodSeconds="0")


async def test_variables_come_from_secrets_fields_and_each_other(api: Api) -> None:
    secrets = "/api/v1/namespaces/demo-sandbox/secrets"
    data = {"password": "czNjcmV0"}
    await api.call("POST", secrets, {"metadata": {"name": "database"}, "data": data})
    body = holder("variables", "sh", "-c", 'echo "$URL $NAME $0"', "$(URL)")
    body["spec"]["containers"][0]["env"] = [
        {"name": "PW", "valueFrom": {"secretKeyRef": {"name": "database", "key": "password"}}},
        {"name": "URL", "value": "postgresql://u:$(PW)@db/x"},
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]
    await api.call("POST", PODS, body)
    url = "postgresql://u:s3cret@db/x"
    await api.until(f"{PODS}/variables", lambda pod: pod["status"]["phase"] == "Succeeded")
    assert (await api.call("GET", f"{PODS}/variables/log")).body == f"{url} variables {url}\n"
    await api.call("DELETE", f"{PODS}/variables")
    await api.call("DELETE", f"{secrets}/database")


async def test_two_containers_in_one_pod_must_be_told_apart(api: Api) -> None:
    body = holder("pair", "sleep", "infinity")
    body["spec"]["containers"].append({"name": "side", "image": "fuse/app", "command": ["sleep", "9999"]})
    await api.call("POST", PODS, body)
    await api.until(f"{PODS}/pair", lambda pod: pod["status"]["phase"] == "Running")
    refused = await api.call("GET", f"{PODS}/pair/exec", command="true", stdout="true")
    assert refused.code == 400
    assert refused.body["message"] == (
        "a container name must be specified for pod pair, choose one of: [main side]"
    )
    ran = await api.run("pair", "sh", "-c", "echo $SANDBOX_CONTAINER", container="side")
    assert ran.stdout == b"side\n"
    await api.call("DELETE", f"{PODS}/pair", gracePeriodSeconds="0")
