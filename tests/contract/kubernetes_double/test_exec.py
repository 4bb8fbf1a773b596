"""pods/exec on the wire: frames, Statuses, refusals, and what becomes of a command whose stream is cut."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tests.contract.kubernetes_double.stand import Api


@pytest.mark.parametrize("version", [4, 5])
async def test_a_command_that_succeeds_ends_with_a_success_status(api: Api, version: int) -> None:
    ran = await api.run(await api.pod(), "sh", "-c", "echo out; echo err >&2", version=version)
    assert (ran.stdout, ran.stderr) == (b"out\n", b"err\n")
    assert ran.status == {"metadata": {}, "status": "Success"}
    assert ran.first == b"\x01"


@pytest.mark.parametrize("version", [4, 5])
async def test_an_exit_code_is_a_cause_of_the_status(api: Api, version: int) -> None:
    ran = await api.run(await api.pod(), "sh", "-c", "exit 7", version=version)
    assert ran.status is not None
    assert ran.status["reason"] == "NonZeroExitCode"
    assert ran.status["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]


async def test_a_killed_command_has_128_and_the_signal_as_its_exit_code(api: Api) -> None:
    ran = await api.run(await api.pod(), "sh", "-c", "kill -9 $$")
    assert ran.status is not None
    assert ran.status["details"]["causes"] == [{"reason": "ExitCode", "message": "137"}]


async def test_v5_can_end_stdin(api: Api) -> None:
    ran = await api.run(await api.pod(), "sh", "-c", "cat; echo end", stdin=b"one\ntwo\n")
    assert ran.stdout == b"one\ntwo\nend\n"


async def test_v4_cannot_end_stdin(api: Api) -> None:
    async with api.stream(await api.pod(), "cat", version=4, stdin="true") as socket:
        await socket.send_bytes(b"\0one\n")
        await socket.send_bytes(b"\xff\0")
        received = b""
        while received != b"one\n":
            received += (await socket.receive(timeout=10)).data[1:]
        with pytest.raises(TimeoutError):
            await socket.receive(timeout=0.3)


async def test_much_output_comes_whole(api: Api) -> None:
    ran = await api.run(await api.pod(), "sh", "-c", "yes 0123456789 | head -c 3000000")
    assert len(ran.stdout) == 3_000_000
    assert ran.status is not None
    assert ran.status["status"] == "Success"


async def test_a_program_that_cannot_start_is_an_internal_error_without_exit_code(api: Api) -> None:
    ran = await api.run(await api.pod(), "no-such-program")
    assert ran.status is not None
    assert ran.status["reason"] == "InternalError"
    assert ran.status["code"] == 500
    assert "reason" not in ran.status["details"]["causes"][0]
    assert 'exec: "no-such-program": executable file not found in $PATH' in ran.status["message"]


async def test_the_command_sees_the_pods_environment_and_nothing_of_the_server(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVER_SECRET", "x")
    names = (await api.output(await api.pod(), "env | cut -d= -f1 | sort")).split()
    assert set(names) == {
        "GREETING",
        "HOME",
        "HOSTNAME",
        "KUBERNETES_SERVICE_HOST",
        "PATH",
        "PGHOSTADDR",
        "PWD",
        "SANDBOX_CONTAINER",
        "SANDBOX_CONTAINER_ID",
        "SANDBOX_NAMESPACE",
        "SANDBOX_POD",
        "SANDBOX_READY_FILE",
        "SANDBOX_SERVICE",
    }


async def test_the_command_leads_a_session_of_its_own_in_the_container(api: Api) -> None:
    text = await api.output(await api.pod(), "read line < /proc/self/stat; echo $line")
    fields = text.split()
    assert fields[0] == fields[4] == fields[5]
    assert int(fields[5]) > 1


async def test_it_starts_in_the_private_copy_of_the_image(api: Api) -> None:
    listed = await api.output(await api.pod(), "ls; touch mine; ls | wc -l")
    assert listed.split() == ["bin", "package.json", "3"]


async def test_a_held_stdout_keeps_the_exec_open(api: Api) -> None:
    async with api.stream(await api.pod(), "sh", "-c", "sleep 0.6 & echo started") as socket:
        before = asyncio.get_running_loop().time()
        async for _ in socket:
            pass
        assert asyncio.get_running_loop().time() - before > 0.5


async def test_a_cut_stream_leaves_the_command_running(api: Api) -> None:
    pod = await api.pod()
    script = "echo $$ > /tmp/cut-pid; echo up; sleep 0.5; echo on; echo done > /tmp/cut-done; exec sleep 1000"
    async with api.stream(pod, "sh", "-c", script) as socket:
        await socket.receive(timeout=10)
        assert (await socket.receive(timeout=10)).data == b"\x01up\n"
        cut = await api.call("POST", "/sandbox/streams/cut")
        assert cut.body == {"cut": 1}
        end = await socket.receive(timeout=10)
        assert end.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE}
    await api.output(pod, "while ! test -f /tmp/cut-done; do sleep 0.05; done")
    assert await api.output(pod, "kill -0 $(cat /tmp/cut-pid) && echo alive") == "alive"
    await api.output(pod, "kill $(cat /tmp/cut-pid)")


async def test_after_a_cut_a_full_pipe_blocks_the_command_instead_of_breaking_it(api: Api) -> None:
    pod = await api.pod()
    script = "echo $$ > /tmp/full-pid; echo up; read x; head -c 3000000 /dev/zero; echo past > /tmp/full-past"
    async with api.stream(pod, "sh", "-c", script, stdin="true") as socket:
        await socket.receive(timeout=10)
        assert (await socket.receive(timeout=10)).data == b"\x01up\n"
        await api.call("POST", "/sandbox/streams/cut")
    state = "grep -l pipe_write /proc/[0-9]*/wchan 2>/dev/null; cat /proc/$(pgrep -x head)/wchan"
    script = (
        f"for i in $(seq 200); do pgrep -x head >/dev/null && {{ {state}; }} && break; sleep 0.05; done; true"
    )
    assert "pipe_write" in await api.output(pod, script)
    assert await api.output(pod, "test -e /tmp/full-past || echo blocked") == "blocked"
    await api.output(pod, "kill -9 $(cat /tmp/full-pid); pkill -x -9 head; true")


async def test_unknown_pods_and_containers_are_refused_before_the_upgrade(api: Api) -> None:
    pod = await api.pod()
    path = f"/api/v1/namespaces/demo-sandbox/pods/{pod}/exec"
    missing = await api.call("GET", path.replace(pod, "nobody"), command="true", stdout="true")
    assert (missing.code, missing.body["reason"]) == (404, "NotFound")
    assert missing.body["message"] == 'pods "nobody" not found'
    wrong = await api.call("GET", path, command="true", stdout="true", container="nope")
    assert wrong.code == 400
    assert wrong.body["message"] == f"container nope is not valid for pod {pod}"
    plain = await api.call("GET", path, command="true", stdout="true")
    assert (plain.code, plain.body["message"]) == (400, "Upgrade request required")


async def test_a_viewer_may_not_exec(api: Api, viewer: Api) -> None:
    pod = await api.pod()
    refused = await viewer.call(
        "GET", f"/api/v1/namespaces/demo-sandbox/pods/{pod}/exec", command="true", stdout="true"
    )
    assert refused.code == 403
    assert refused.body["message"] == (
        f'pods "{pod}" is forbidden: User "viewer" cannot get resource "pods/exec" in API group "" '
        'in the namespace "demo-sandbox"'
    )


async def test_an_exec_in_a_pod_that_is_over_fails_as_the_kubelet_fails_it(api: Api) -> None:
    pods = "/api/v1/namespaces/demo-sandbox/pods"
    container = {"name": "main", "image": "fuse/app:1", "command": ["true"]}
    body = {"metadata": {"name": "over"}, "spec": {"restartPolicy": "Never", "containers": [container]}}
    assert (await api.call("POST", pods, body)).code == 201
    await api.until(f"{pods}/over", lambda pod: pod["status"]["phase"] == "Succeeded")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await api.run("over", "true", version=4)
    assert refused.value.status == 500
    ran = await api.run("over", "true", version=5)
    assert ran.status is not None
    assert ran.status["reason"] == "InternalError"
    assert 'container not found ("main")' in ran.status["message"]
    await api.call("DELETE", f"{pods}/over")
