"""What only a cluster shows: rights, cuts, limits, statuses."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from kubernetes_asyncio.client import (
    AppsV1Api,
    V1ConfigMapEnvSource,
    V1Container,
    V1EnvFromSource,
    V1EnvVar,
    V1EnvVarSource,
    V1SecretEnvSource,
    V1SecretKeySelector,
)
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from daemon.adapters.kubernetes import container_variables
from daemon.adapters.kubernetes.client import MAX_EXECS_PER_POD
from daemon.adapters.kubernetes.container_variables import given_by_secrets
from daemon.adapters.kubernetes.errors import from_status, translated
from daemon.adapters.kubernetes.exec.follow_frames import FrameDecoder, FrameError
from daemon.adapters.kubernetes.exec.websocket_stream import exit_code_of
from daemon.adapters.kubernetes.pods import KubernetesPods
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from daemon.ports.pods.cluster import Pod
from daemon.redaction import known_values
from daemon.redaction.known_values import KnownValues
from sandbox.kubernetes.launch import Running
from schemas.reasons import Reason
from schemas.wire import AttemptId
from tests.contract.pods.stands import API_KEY, ENVIRONMENT, SELECTOR, ClusterStand, cluster_stand

ATTEMPT = AttemptId("r/seed.app/1")


async def test_a_missing_right_is_permanent_and_named(double: Running) -> None:
    viewer = str(Path(double.kubeconfig).with_name("viewer.kubeconfig"))
    async with cluster_stand(viewer, double) as stand:
        pod = await stand.pod()
        with pytest.raises(PermanentError) as raised:
            await stand.pods.prepare(pod, ATTEMPT)
    assert raised.value.reason is Reason.KUBERNETES_FORBIDDEN
    assert "pods/exec" in raised.value.detail


async def test_h1_the_secrets_of_a_container_are_known_before_its_output_is_read(
    double: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = KnownValues()
    monkeypatch.setattr(container_variables, "KNOWN", known)
    async with cluster_stand(double.kubeconfig, double) as stand:
        control = await stand.pods.prepare(await stand.pod(), ATTEMPT)
        assert known.forms_in(f"the key is {API_KEY}")
        # A daemon that was started again meanwhile knows nothing of the container.
        monkeypatch.setattr(container_variables, "KNOWN", known := KnownValues())
        again = KubernetesPods(stand.kubernetes)
        async with asyncio.timeout(20), aclosing(again.follow(control, offset=0)) as observations:
            async for _ in observations:
                break
        assert known.forms_in(f"the key is {API_KEY}")


async def test_h1_what_was_forgotten_is_known_again_while_the_container_is_used(
    double: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_variables, "KNOWN", known := KnownValues())
    monkeypatch.setattr(known_values, "MOST_VALUES", 3)
    others = [f"a-value-of-others-{number}" for number in range(3)]
    async with cluster_stand(double.kubeconfig, double) as stand:
        control = await stand.pods.prepare(await stand.pod(), ATTEMPT)
        known.learn(others)
        assert not known.forms_in(f"the key is {API_KEY}")
        async with asyncio.timeout(20), aclosing(stand.pods.follow(control, offset=0)) as observations:
            async for _ in observations:
                known.learn(others)
                assert known.forms_in(f"the key is {API_KEY}")
                break
        known.learn(others)
        assert not known.forms_in(f"the key is {API_KEY}")


def test_h1_a_secret_that_gives_all_of_its_keys_gives_what_nothing_else_names() -> None:
    key = V1SecretKeySelector(name="app", key="url")
    spec = V1Container(
        name="app",
        env=[
            V1EnvVar(name="URL", value_from=V1EnvVarSource(secret_key_ref=key)),
            V1EnvVar(name="LEVEL", value="info"),
        ],
        env_from=[
            V1EnvFromSource(secret_ref=V1SecretEnvSource(name="stripe"), prefix="STRIPE_"),
            V1EnvFromSource(config_map_ref=V1ConfigMapEnvSource(name="plain"), prefix="PLAIN_"),
        ],
    )
    names = ["URL", "LEVEL", "STRIPE_KEY", "PLAIN_NAME", "HOSTNAME"]
    assert given_by_secrets(spec, names) == (frozenset({"URL", "STRIPE_KEY"}), frozenset())
    spec.env_from.append(V1EnvFromSource(secret_ref=V1SecretEnvSource(name="all")))
    either = frozenset({"STRIPE_KEY", "PLAIN_NAME"})
    assert given_by_secrets(spec, names) == (frozenset({"URL", "STRIPE_KEY"}), either)


async def test_a_read_whose_stream_is_cut_is_temporary_not_a_result(double: Running) -> None:
    async with cluster_stand(double.kubeconfig, double) as stand:
        pod = await stand.pod()
        argv = ["sh", "-c", f"touch /tmp/up.{stand.token}; sleep 1000"]
        reading = asyncio.create_task(stand.pods.read(pod, argv, timeout=30))
        up = ["sh", "-c", f"until [ -e /tmp/up.{stand.token} ]; do sleep 0.02; done"]
        await stand.pods.read(pod, up, timeout=20)
        await stand.cut()
        with pytest.raises(TemporaryError) as raised:
            await reading
        assert raised.value.reason is Reason.KUBERNETES_UNREACHABLE


async def test_a_stream_that_stays_open_and_says_nothing_any_more_is_as_good_as_cut(double: Running) -> None:
    async with cluster_stand(double.kubeconfig, double) as stand:
        stand.kubernetes.websocket.heartbeat = 1.0
        pods = KubernetesPods(stand.kubernetes, silent_seconds=3.0)
        attempt = AttemptId(f"{stand.token}/seed.app/1")
        control = await pods.prepare(await stand.pod(), attempt)
        await pods.launch(control, attempt, stand.waits())
        # As where the node is gone: the API server, whom the client's pings reach, waits for the kubelet for ever.
        async with asyncio.timeout(20), aclosing(pods.follow(control, offset=0)) as observations:
            frozen: list[int] = []
            async for seen in observations:
                assert seen.alive
                frozen = frozen or stopped(control.directory)
        for pid in frozen:
            os.kill(pid, signal.SIGKILL)
        await stand.release()
        async with aclosing(pods.follow(control, offset=0)) as observations:
            assert [seen async for seen in observations][-1].exit_code == 0


def stopped(directory: str) -> list[int]:
    """Stop the processes that follow the command of a control directory, and return them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            command = entry.read_bytes()
            if b"rd_give" in command and directory.encode() in command:
                found.append(int(entry.parent.name))
                os.kill(found[-1], signal.SIGSTOP)
    return found


async def test_a_read_takes_no_longer_than_it_may(double: Running) -> None:
    async with cluster_stand(double.kubeconfig, double) as stand:
        with pytest.raises(TemporaryError) as raised:
            await stand.pods.read(await stand.pod(), ["sleep", "1000"], timeout=0.3)
        assert raised.value.reason is Reason.COMMAND_TIMED_OUT


async def test_a_program_that_is_not_there_is_refused(double: Running) -> None:
    async with cluster_stand(double.kubeconfig, double) as stand:
        with pytest.raises(PermanentError) as raised:
            await stand.pods.read(await stand.pod(), ["no-such-program"], timeout=10)
        assert raised.value.reason is Reason.EXEC_REFUSED


async def test_more_readers_than_a_pod_takes_at_once_all_get_their_answer(double: Running) -> None:
    async with cluster_stand(double.kubeconfig, double) as stand:
        pod = await stand.pod()
        many = range(3 * MAX_EXECS_PER_POD)
        reads = [stand.pods.read(pod, ["echo", str(number)], timeout=30) for number in many]
        assert [int(result.stdout) for result in await asyncio.gather(*reads)] == list(many)


async def test_a_follower_goes_on_from_exec_to_exec_without_losing_a_byte(double: Running) -> None:
    async with cluster_stand(double.kubeconfig, double, stream_seconds=0) as stand:
        count = "for n in 1 2 3 4 5 6 7 8; do echo $n; sleep 0.1; done"
        attempt = AttemptId(f"{stand.token}/seed.app/1")
        control = await stand.pods.prepare(await stand.pod(), attempt)
        await stand.pods.launch(control, attempt, ["sh", "-c", count])
        output, last = b"", None
        async with asyncio.timeout(30):
            async for last in stand.pods.follow(control, offset=0):
                assert last.offset == len(output)
                output += last.log
        assert last is not None
        assert last.exit_code == 0
        assert output == b"".join(b"%d\n" % number for number in range(1, 9))


async def test_a_service_without_a_pod_is_refused_until_its_pod_is_back(double: Running) -> None:
    async with cluster_stand(double.kubeconfig, double) as stand:
        await stand.pod()
        apps = AppsV1Api(stand.kubernetes.rest)
        # ArgoCD heals it after a second, so that nobody has to.
        merge: Any = {"_content_type": "application/merge-patch+json"}
        await apps.patch_namespaced_deployment_scale("app", ENVIRONMENT, {"spec": {"replicas": 0}}, **merge)
        refused = await refusal(stand)
        assert refused.reason in {Reason.POD_NOT_FOUND, Reason.POD_NOT_READY}
        async with asyncio.timeout(60):
            while isinstance(await refusal_or_pod(stand), PortError):  # noqa: ASYNC110 - asked of a cluster
                await asyncio.sleep(0.05)


async def refusal_or_pod(stand: ClusterStand) -> PortError | Pod:
    try:
        return await stand.pods.choose(ENVIRONMENT, SELECTOR, None)
    except PortError as error:
        return error


async def refusal(stand: ClusterStand) -> PortError:
    async with asyncio.timeout(20):
        while not isinstance(found := await refusal_or_pod(stand), PortError):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
    return found


@pytest.mark.parametrize("status", [429, 500, 503, 504])
def test_a_busy_server_is_temporary_with_its_delay(status: int) -> None:
    error = from_status(status, "list pods", "list pods", delay=7.0)
    assert isinstance(error, TemporaryError)
    assert (error.reason, error.delay) == (Reason.KUBERNETES_UNREACHABLE, 7.0)


def test_the_delay_is_the_servers_retry_after() -> None:
    request = aiohttp.RequestInfo(URL("https://x"), "GET", CIMultiDictProxy(CIMultiDict()), URL("https://x"))
    refused = aiohttp.WSServerHandshakeError(
        request, (), status=429, headers=CIMultiDict({"Retry-After": "3"})
    )
    with pytest.raises(TemporaryError) as raised, translated("run", "get pods/exec"):
        raise refused
    assert raised.value.delay == 3.0
    assert raised.value.__cause__ is refused


def test_only_a_status_tells_an_exit_code() -> None:
    def status(**parts: object) -> bytes:
        return json.dumps(parts).encode()

    causes = {"causes": [{"reason": "ExitCode", "message": "42"}]}
    assert exit_code_of(status(status="Success"), "p") == 0
    assert exit_code_of(status(status="Failure", reason="NonZeroExitCode", details=causes), "p") == 42
    for other in (
        status(status="Failure", reason="InternalError", message="container not found"),
        b"{",
        b"{}",
    ):
        with pytest.raises(TemporaryError):
            exit_code_of(other, "p")


def test_frames_are_read_in_pieces_of_any_size() -> None:
    told = b"more 0 3\nabclook 1.2.3 1 - 3 2\n\n\nlook 1.2.3 0 7 5 0\n"
    whole = FrameDecoder().feed(told)
    decoder = FrameDecoder()
    assert [frame for byte in told for frame in decoder.feed(bytes([byte]))] == whole
    assert [frame.log for frame in whole] == [b"abc", b"\n\n", b""]
    assert [frame.exit_code for frame in whole] == [None, None, 7]


@pytest.mark.parametrize("noise", [b"sh: head: not found\n", b"look 1 1\n", b"\xff\n"])
def test_what_is_no_frame_is_noticed(noise: bytes) -> None:
    with pytest.raises(FrameError):
        FrameDecoder().feed(noise)
