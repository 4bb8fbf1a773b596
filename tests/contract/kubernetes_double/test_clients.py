"""The standard tools talk to the double: the official client, kubernetes_asyncio, kubectl."""

from __future__ import annotations

import asyncio
import importlib
import json
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeAlias

import pytest

from sandbox.kubernetes.launch import Running
from tests.contract.kubernetes_double.stand import Api

# The clients' own annotations are partly missing and partly wrong (`command: str`).
Untyped: TypeAlias = Any
Kubectl = Callable[..., Awaitable[subprocess.CompletedProcess[str]]]
NAMESPACE = "demo-sandbox"
SELECTOR = "app.kubernetes.io/name=app"


@pytest.fixture
def official(double: Running) -> Iterator[Untyped]:
    client: Untyped = importlib.import_module("kubernetes.client")
    config: Untyped = importlib.import_module("kubernetes.config")

    configuration = client.Configuration()
    config.load_kube_config(double.kubeconfig, client_configuration=configuration)
    with client.ApiClient(configuration) as api_client:
        yield api_client
        api_client.rest_client.pool_manager.clear()


def official_exec(api_client: Untyped, pod: str, *command: str) -> Untyped:
    client: Untyped = importlib.import_module("kubernetes.client")
    stream: Untyped = importlib.import_module("kubernetes.stream")

    core = client.CoreV1Api(api_client)
    opened = stream.stream(
        core.connect_get_namespaced_pod_exec,
        pod,
        NAMESPACE,
        command=list(command),
        stdout=True,
        stderr=True,
        _preload_content=False,
    )
    # After a close frame this client leaves its socket open, and Python warns of it.
    socket = opened.sock.sock
    opened.run_forever(timeout=20)
    socket.close()
    return opened


async def test_the_official_client_lists_watches_and_reads_logs(api: Api, official: Untyped) -> None:
    client: Untyped = importlib.import_module("kubernetes.client")
    watch: Untyped = importlib.import_module("kubernetes.watch")

    pod = await api.pod()

    def talk() -> None:
        core = client.CoreV1Api(official)
        pods = core.list_namespaced_pod(NAMESPACE, label_selector=SELECTOR)
        assert [one.metadata.name for one in pods.items] == [pod]
        watcher = watch.Watch()
        events = watcher.stream(core.list_namespaced_pod, NAMESPACE, timeout_seconds=1)
        assert [(one["type"], one["object"].metadata.name) for one in events] == [("ADDED", pod)]
        assert core.read_namespaced_pod_log(pod, NAMESPACE) in {
            "good morning\noops\n",
            "oops\ngood morning\n",
        }
        custom = client.CustomObjectsApi(official)
        found = custom.list_namespaced_custom_object("argoproj.io", "v1alpha1", "argocd", "applications")
        assert [one["metadata"]["name"] for one in found["items"]] == [NAMESPACE]
        with pytest.raises(client.ApiException) as refused:
            core.read_namespaced_pod("nobody", NAMESPACE)
        assert refused.value.status == 404

    await asyncio.to_thread(talk)


async def test_the_official_client_execs(api: Api, official: Untyped) -> None:
    pod = await api.pod()

    def talk() -> None:
        good = official_exec(official, pod, "sh", "-c", "echo out; echo err >&2")
        assert (good.read_stdout(), good.read_stderr(), good.returncode) == ("out\n", "err\n", 0)
        assert official_exec(official, pod, "sh", "-c", "exit 7").returncode == 7

    await asyncio.to_thread(talk)


async def test_kubernetes_asyncio_lists_watches_and_execs(api: Api, double: Running) -> None:
    client: Untyped = importlib.import_module("kubernetes_asyncio.client")
    config: Untyped = importlib.import_module("kubernetes_asyncio.config")
    watch: Untyped = importlib.import_module("kubernetes_asyncio.watch")
    stream: Untyped = importlib.import_module("kubernetes_asyncio.stream")

    pod = await api.pod()
    configuration = client.Configuration()
    await config.load_kube_config(double.kubeconfig, client_configuration=configuration)
    async with client.ApiClient(configuration) as plain, stream.WsApiClient(configuration) as sockets:
        core = client.CoreV1Api(plain)
        pods = await core.list_namespaced_pod(NAMESPACE, label_selector=SELECTOR)
        assert [one.metadata.name for one in pods.items] == [pod]
        async with watch.Watch() as watcher:
            async for event in watcher.stream(core.list_namespaced_pod, NAMESPACE, timeout_seconds=1):
                assert (event["type"], event["object"].metadata.name) == ("ADDED", pod)
        opened = await client.CoreV1Api(sockets).connect_get_namespaced_pod_exec(
            pod, NAMESPACE, command=["sh", "-c", "exit 7"], stdout=True, _preload_content=False
        )
        async with opened as socket:
            frames = [message.data async for message in socket]
        assert stream.WsApiClient.parse_error_data(frames[-1][1:].decode()) == 7
        application = await client.CustomObjectsApi(plain).get_namespaced_custom_object(
            "argoproj.io", "v1alpha1", "argocd", "applications", NAMESPACE
        )
        assert application["kind"] == "Application"


@pytest.fixture
def kubectl(double: Running) -> Kubectl:
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not on this machine")

    async def run(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(
            subprocess.run,
            [program, f"--kubeconfig={double.kubeconfig}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"HOME": str(double.ready["kubeconfig"]) + ".home", "PATH": "/usr/bin:/bin"},
        )

    return run


async def test_kubectl_gets(api: Api, kubectl: Kubectl) -> None:
    pod = await api.pod()
    lines = (await kubectl("get", "pods", "-A")).stdout.splitlines()
    assert lines[0].split() == ["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert lines[1].split()[:4] == [NAMESPACE, pod, "1/1", "Running"]
    assert "1/1" in (await kubectl("get", "deployments", "-n", NAMESPACE)).stdout
    assert "Healthy" in (await kubectl("get", "applications", "-n", "argocd")).stdout
    body = json.loads((await kubectl("get", "pod", pod, "-n", NAMESPACE, "-o", "json")).stdout)
    assert body["metadata"]["name"] == pod
    missing = await kubectl("get", "pod", "nobody", "-n", NAMESPACE)
    assert 'Error from server (NotFound): pods "nobody" not found' in missing.stderr
    assert "good morning" in (await kubectl("logs", "-n", NAMESPACE, pod, "--tail=100")).stdout
    everything = (await kubectl("get", "all", "-n", NAMESPACE)).stdout
    assert "replicaset.apps/app-" in everything


async def test_kubectl_execs(api: Api, kubectl: Kubectl) -> None:
    pod = await api.pod()
    run = ("exec", "-n", NAMESPACE, pod, "--")
    good = await kubectl(*run, "sh", "-c", "echo out; echo err >&2")
    assert (good.returncode, good.stdout, good.stderr) == (0, "out\n", "err\n")
    assert (await kubectl(*run, "sh", "-c", "exit 7")).returncode == 7
    echoed = await kubectl("exec", "-i", "-n", NAMESPACE, pod, "--", "cat", stdin="typed\n")
    assert echoed.stdout == "typed\n"
    missing = await kubectl(*run, "no-such-program")
    assert missing.returncode == 1
    assert "executable file not found in $PATH" in missing.stderr


async def test_kubectl_deletes_a_pod_and_scales(api: Api, kubectl: Kubectl) -> None:
    pod = await api.pod()
    deleted = await kubectl("delete", "pod", pod, "-n", NAMESPACE)
    assert deleted.stdout == f'pod "{pod}" deleted\n'
    assert await api.pod() != pod
    scaled = await kubectl("scale", "deployment/app", "--replicas=2", "-n", NAMESPACE)
    assert scaled.stdout == "deployment.apps/app scaled\n"
    # ArgoCD heals it.
    await api.until(
        f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/app",
        lambda one: one["spec"]["replicas"] == 1,
    )
    await api.pods()
