"""What happens to pods in the middle of a command, how containers are, and who else carries a service's label."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sandbox.faults import Fault, FaultKind, Faults
from tests.contract.kubernetes_double.stand import NAMESPACE, Api

PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
LABEL = "app.kubernetes.io/name=app"


async def launch(daemon: Api, pod: str, seconds: int = 600) -> None:
    """A command as the daemon launches it: marked, and left running when the exec ends."""
    script = f"(sleep {seconds}) >/dev/null 2>&1 </dev/null &"
    ran = await daemon.run(pod, "env", "RESETD_ATTEMPT=reset/step/1", "sh", "-c", script)
    assert ran.status
    assert ran.status["status"] == "Success"


def status_of(pod: dict[str, Any]) -> dict[str, Any]:
    status: dict[str, Any] = pod["status"]["containerStatuses"][0]
    return status


async def struck(kind: FaultKind, daemon: Api, faults: Faults) -> dict[str, Any]:
    """The pod as it was before the fault struck at it."""
    (pod,) = await daemon.pods()
    await faults.arm(Fault(kind, NAMESPACE, "app"))
    await launch(daemon, pod["metadata"]["name"])
    return pod


async def test_a_pod_is_deleted_in_the_middle_of_a_command(daemon: Api, faults: Faults) -> None:
    before = await struck(FaultKind.POD_DELETED, daemon, faults)
    name = before["metadata"]["name"]
    await daemon.until(f"{PODS}/{name}", lambda body: body.get("code") == 404)
    assert (await daemon.pods())[0]["metadata"]["uid"] != before["metadata"]["uid"]
    assert (await faults.hits())[FaultKind.POD_DELETED] == 1


async def test_a_pod_is_lost_with_every_trace_of_what_ran_in_it(daemon: Api, faults: Faults) -> None:
    before = await struck(FaultKind.POD_LOST, daemon, faults)
    path = f"{PODS}/{before['metadata']['name']}"
    seen = await daemon.watch(PODS, timeoutSeconds="2")
    of_it = [one["object"] for one in seen if one["object"]["metadata"]["uid"] == before["metadata"]["uid"]]
    assert not any("terminated" in status_of(one)["state"] for one in of_it)
    assert (await daemon.call("GET", path)).code == 404
    assert (await daemon.pods())[0]["metadata"]["uid"] != before["metadata"]["uid"]
    assert (await faults.hits())[FaultKind.POD_LOST] == 1


async def test_a_rollout_replaces_the_pod_in_the_middle_of_a_command(daemon: Api, faults: Faults) -> None:
    before = await struck(FaultKind.POD_ROLLED_OUT, daemon, faults)
    await daemon.until(f"{PODS}/{before['metadata']['name']}", lambda body: body.get("code") == 404)
    (after,) = await daemon.pods()
    owners = [one["metadata"]["ownerReferences"][0]["name"] for one in (before, after)]
    assert owners[0] != owners[1]
    assert (await faults.hits())[FaultKind.POD_ROLLED_OUT] == 1


@pytest.mark.parametrize(
    ("kind", "reason"), [(FaultKind.CONTAINER_RESTARTED, "Error"), (FaultKind.OOM_KILLED, "OOMKilled")]
)
async def test_a_container_is_killed_and_started_again_in_the_same_pod_whose_files_survive(
    kind: FaultKind, reason: str, daemon: Api, admin: Api, faults: Faults
) -> None:
    (pod,) = await daemon.pods()
    name = pod["metadata"]["name"]
    await admin.output(name, f"echo kept > /dev/shm/{kind}; echo lost > /tmp/{kind}")
    before = await struck(kind, daemon, faults)
    count = status_of(before)["restartCount"]
    after = await daemon.until(
        f"{PODS}/{name}",
        lambda body: status_of(body)["restartCount"] == count + 1 and status_of(body)["ready"],
    )
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    ended = status_of(after)["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, reason)
    assert ended["containerID"] == status_of(before)["containerID"] != status_of(after)["containerID"]
    left = await admin.output(name, f"cat /dev/shm/{kind}; cat /tmp/{kind} 2>/dev/null || true")
    assert left == "kept"
    assert (await faults.hits())[kind] == 1


async def test_an_evicted_pod_stays_as_a_failed_object_and_another_one_comes(
    daemon: Api, faults: Faults
) -> None:
    before = await struck(FaultKind.EVICTED, daemon, faults)
    path = f"{PODS}/{before['metadata']['name']}"
    after = await daemon.until(path, lambda body: body["status"].get("reason") == "Evicted")
    assert after["status"]["phase"] == "Failed"
    assert status_of(after)["state"]["terminated"]["exitCode"] == 137
    await daemon.until(
        PODS,
        lambda found: len(found["items"]) == 2,
        labelSelector=LABEL,
        fieldSelector="status.phase!=Unknown",
    )
    await faults.clear()
    assert (await daemon.call("GET", path)).code == 404
    await daemon.pods()
    assert (await faults.hits())[FaultKind.EVICTED] == 1


async def test_a_pod_in_which_no_command_runs_is_not_struck(daemon: Api, faults: Faults) -> None:
    await faults.arm(Fault(FaultKind.POD_DELETED, NAMESPACE))
    hits = await faults.hits()
    (before,) = await daemon.pods()
    await daemon.run(before["metadata"]["name"], "sleep", "0.5")
    assert await faults.hits() == hits
    assert (await daemon.pods())[0]["metadata"]["uid"] == before["metadata"]["uid"]


@pytest.mark.parametrize(
    ("kind", "owner"),
    [(FaultKind.LABEL_SELECTS_JOB, "Job"), (FaultKind.LABEL_SELECTS_SECOND_DEPLOYMENT, "ReplicaSet")],
)
async def test_the_label_selects_another_ready_pod_as_well(
    kind: FaultKind, owner: str, daemon: Api, admin: Api, faults: Faults
) -> None:
    (own,) = await daemon.pods()
    await faults.arm(Fault(kind, NAMESPACE, "app"))
    assert len((await admin.call("GET", PODS, labelSelector=LABEL)).body["items"]) == 1, "not for people"
    found = (await daemon.call("GET", PODS, labelSelector=LABEL)).body["items"]
    (other,) = [one for one in found if one["metadata"]["uid"] != own["metadata"]["uid"]]
    (reference,) = other["metadata"]["ownerReferences"]
    assert reference["kind"] == owner
    assert status_of(other)["ready"]
    assert (await admin.run(other["metadata"]["name"], "true")).status
    assert (await faults.hits())[kind] == 1
    await faults.clear()
    assert [one["metadata"]["uid"] for one in await daemon.pods()] == [own["metadata"]["uid"]]


async def test_an_exec_finds_no_sh_and_starts_other_programs(daemon: Api, faults: Faults) -> None:
    pod = await daemon.pod()
    await faults.arm(Fault(FaultKind.NO_SH))
    assert (await daemon.run(pod, "cat", "/dev/null")).status == {"metadata": {}, "status": "Success"}
    ran = await daemon.run(pod, "sh", "-c", "true")
    assert ran.status
    assert ran.status["reason"] == "InternalError"
    assert 'exec: "sh": executable file not found in $PATH' in ran.status["message"]
    assert "ExitCode" not in str(ran.status)
    assert (await faults.hits())[FaultKind.NO_SH] == 1
    assert await daemon.output(pod, "echo well") == "well"


async def test_a_read_only_root_takes_no_files_but_shared_memory_does(
    daemon: Api, admin: Api, faults: Faults
) -> None:
    pod = await daemon.pod()
    await faults.arm(Fault(FaultKind.READ_ONLY_ROOT, seconds=60))
    tried = 'for at in /tmp . /dev/shm; do echo x > $at/tried 2>/dev/null && printf "%s " $at; done; true'
    assert await daemon.output(pod, tried) == "/dev/shm"
    assert (await faults.hits())[FaultKind.READ_ONLY_ROOT] == 1
    await faults.clear()
    assert await admin.output(pod, tried) == "/tmp . /dev/shm"


async def test_a_full_disk_takes_no_bytes_but_still_a_link(daemon: Api, admin: Api, faults: Faults) -> None:
    pod = await daemon.pod()
    await admin.output(pod, "echo before > /tmp/before")
    await faults.arm(Fault(FaultKind.DISK_FULL, seconds=60))
    why = await daemon.output(
        pod, "head -c 9 /dev/zero 2>&1 > /tmp/more; ln -s 0 /tmp/link; readlink /tmp/link"
    )
    assert "No space left on device" in why
    assert why.endswith("\n0")
    assert (await faults.hits())[FaultKind.DISK_FULL] == 1
    await faults.clear()
    assert await admin.output(pod, "cat /tmp/before; echo more > /tmp/more; cat /tmp/more") == "before\nmore"


async def test_pid_1_leaves_an_ended_orphan_a_zombie(daemon: Api, admin: Api, faults: Faults) -> None:
    pod = await daemon.pod()
    states = 'for one in /proc/[0-9]*/stat; do cut -d" " -f3 $one; done 2>/dev/null | grep -c Z || true'
    await faults.arm(Fault(FaultKind.PID1_DOES_NOT_REAP, seconds=60))
    await daemon.output(pod, "(sleep 0.1) >/dev/null 2>&1 </dev/null &")
    await daemon.output(
        pod, f"n=0; until [ $({states}) != 0 ] || [ $n = 60 ]; do sleep 0.05; n=$((n+1)); done"
    )
    assert await admin.output(pod, states) == "1"
    async with asyncio.timeout(10):
        while (await faults.hits()).get(FaultKind.PID1_DOES_NOT_REAP) != 1:  # noqa: ASYNC110 - counted by a look
            await asyncio.sleep(0.02)
    await faults.clear()
    await admin.output(pod, f"n=0; until [ $({states}) = 0 ] || [ $n = 60 ]; do sleep 0.05; n=$((n+1)); done")
    assert await admin.output(pod, states) == "0"
