"""Where the pods' contract is played: in memory, on the Kubernetes double, on a cluster that is given by address.

Each stand knows commands that do the same thing in its own way. `token` tells the commands of one test apart.

Over 300 lines: three stands that have to offer the very same things, side by side.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest
import yaml
from kubernetes_asyncio.client import AppsV1Api, CoreV1Api

from daemon.adapters.kubernetes.client import ExecLimiter, Kubernetes, KubernetesSettings, open_kubernetes
from daemon.adapters.kubernetes.pods import KubernetesPods
from daemon.ports.errors import TemporaryError
from daemon.ports.pods.cluster import Pod
from daemon.ports.pods.pods import Pods
from sandbox.kubernetes.launch import Arguments, Running, start
from tests.contract.kubernetes_double.stand import make_image
from tests.memory.pods import MemoryPods
from tests.memory.processes import Process
from tests.memory.services import MemoryService

ENVIRONMENT = "demo-sandbox"
LABEL = "app.kubernetes.io/name"
SELECTOR = f"{LABEL}=app"
API_KEY = "a-key-without-any-shape"
"""A secret value that the containers have."""
SERVES = '#!/bin/sh\necho serving\ntouch "$SANDBOX_READY_FILE"\nexec sleep 1000000\n'
STARTED = 'echo run >>"/tmp/runs.$0"; '


class Stand(Protocol):
    """What a test needs besides the port."""

    environment: str
    selector: str
    variable: tuple[str, str]
    """A variable that the containers have."""
    token: str

    @property
    def pods(self) -> Pods:
        """The port under test."""
        ...

    async def pod(self) -> Pod:
        """Return the service's pod, once it is ready."""
        ...

    def prints(self, data: bytes, exit_code: int) -> list[str]:
        """Return a command that prints up to 100 bytes and ends."""
        ...

    def floods(self, amount: int) -> list[str]:
        """Return a command that prints so many bytes 0xff."""
        ...

    def echoes(self) -> list[str]:
        """Return a command that prints the attempt's marker, a line break, and its input."""
        ...

    def waits(self) -> list[str]:
        """Return a command that prints `waiting`, waits for `release`, and prints `done`."""
        ...

    def stubborn(self) -> list[str]:
        """Return a command that prints `waiting`, ignores TERM and never ends."""
        ...

    async def release(self) -> None:
        """Let `waits` go on."""
        ...

    async def runs(self) -> int:
        """Return how often a command of this token was started."""
        ...

    async def cut(self) -> None:
        """Cut every stream."""
        ...

    async def restart(self) -> None:
        """End the container, and wait until another one is ready in its pod."""
        ...

    async def remove(self) -> None:
        """Delete the pod."""
        ...

    async def scaled_to_0(self) -> str:
        """Add a service whose Deployment asks for no pod, and return its selector."""
        ...

    async def stray(self) -> str:
        """Add a pod of a service that has no Deployment, and return its selector."""
        ...

    def scaled_to_zero(self) -> AbstractAsyncContextManager[None]:
        """Let the service have no pod for a while."""
        ...


@dataclass
class MemoryStand:
    """See Stand."""

    pods: MemoryPods
    service: MemoryService
    environment: str = ENVIRONMENT
    selector: str = SELECTOR
    variable: tuple[str, str] = ("GREETING", "good morning")
    token: str = "t"
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def pod(self) -> Pod:
        return await self.pods.choose(self.environment, self.selector, None)

    def prints(self, data: bytes, exit_code: int) -> list[str]:
        return ["prints", data.hex(), str(exit_code)]

    def floods(self, amount: int) -> list[str]:
        return ["floods", str(amount)]

    def echoes(self) -> list[str]:
        return ["echoes"]

    def waits(self) -> list[str]:
        return ["waits"]

    def stubborn(self) -> list[str]:
        return ["stubborn"]

    async def release(self) -> None:
        self.go.set()

    async def runs(self) -> int:
        return len(self.pods.launched)

    async def cut(self) -> None:
        self.pods.cut_streams()

    async def restart(self) -> None:
        await self.pods.restart(self.service)

    async def remove(self) -> None:
        await self.pods.remove(self.service)

    async def scaled_to_0(self) -> str:
        self.pods.add(self.environment, "idle").replicas = 0
        return f"{LABEL}=idle"

    async def stray(self) -> str:
        self.pods.add(self.environment, "stray").owned = False
        return f"{LABEL}=stray"

    @asynccontextmanager
    async def scaled_to_zero(self) -> AsyncIterator[None]:
        self.service.replicas = 0
        yield
        self.service.replicas = 1

    async def program(self, process: Process) -> int:
        """Run any of the commands above."""
        match process.argv:
            case ("prints", data, code):
                process.write(bytes.fromhex(data))
                return int(code)
            case ("floods", amount):
                process.write(b"\xff" * int(amount))
            case ("echoes",):
                process.write(process.variables.get("RESETD_ATTEMPT", "").encode() + b"\n" + process.stdin)
            case ("waits",):
                process.write(b"waiting\n")
                await self.go.wait()
                process.write(b"done\n")
            case _:
                process.ignores_term = True
                process.write(b"waiting\n")
                await asyncio.Event().wait()
        return 0


@dataclass
class ClusterStand:
    """See Stand; `running` is None on a cluster that is not the double."""

    pods: KubernetesPods
    kubernetes: Kubernetes
    running: Running | None
    environment: str = ENVIRONMENT
    selector: str = SELECTOR
    variable: tuple[str, str] = ("GREETING", "good morning")
    token: str = field(default_factory=lambda: uuid4().hex)

    async def pod(self) -> Pod:
        async with asyncio.timeout(60):
            while True:
                try:
                    return await self.pods.choose(self.environment, self.selector, None)
                except TemporaryError:
                    await asyncio.sleep(0.05)

    def prints(self, data: bytes, exit_code: int) -> list[str]:
        escaped = "".join(f"\\{byte:03o}" for byte in data)
        return self._shell('printf "$1"; exit "$2"', escaped, str(exit_code))

    def floods(self, amount: int) -> list[str]:
        return self._shell("head -c \"$1\" /dev/zero | tr '\\000' '\\377'", str(amount))

    def echoes(self) -> list[str]:
        return self._shell('echo "$RESETD_ATTEMPT"; cat')

    def waits(self) -> list[str]:
        return self._shell('echo waiting; until [ -e "/tmp/go.$0" ]; do sleep 0.05; done; echo done')

    def stubborn(self) -> list[str]:
        return self._shell('trap "" TERM; echo waiting; while :; do sleep 0.2; done')

    async def release(self) -> None:
        await self._in_pod("touch", f"/tmp/go.{self.token}")

    async def runs(self) -> int:
        return (await self._in_pod("sh", "-c", 'cat "/tmp/runs.$0" 2>/dev/null; :', self.token)).count(b"run")

    async def cut(self) -> None:
        if self.running is None:
            pytest.skip("a real cluster's streams are not ours to cut")
        if not self.kubernetes.streams.has_free_slot(self.environment, "any"):
            pytest.skip("there is no stream to cut")
        await asyncio.to_thread(control, self.running, "streams/cut")

    async def restart(self) -> None:
        before = await self.pod()
        if self.running is None:
            # The first process of its container ends when it is asked to.
            with suppress(TemporaryError):
                await self.pods.read(before, ["sh", "-c", "kill 1; sleep 60"], timeout=60)
        else:
            identifier = before.container_id.partition("//")[2]
            state = Path(self.running.kubeconfig).parent / "containers" / identifier / "state"
            os.kill(int(state.read_text().split()[0]), 9)
        async with asyncio.timeout(60):
            while (await self.pod()).container_id == before.container_id:  # noqa: ASYNC110 - a cluster has no event
                await asyncio.sleep(0.05)

    async def remove(self) -> None:
        pod = await self.pod()
        core = CoreV1Api(self.kubernetes.rest)
        await core.delete_namespaced_pod(pod.name, pod.environment, grace_period_seconds=0)

    async def scaled_to_0(self) -> str:
        labels = {LABEL: f"idle-{self.token}"}
        template = {"metadata": {"labels": labels}, "spec": self._spec()}
        spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
        body: Any = {"metadata": {"name": labels[LABEL]}, "spec": spec}
        await AppsV1Api(self.kubernetes.rest).create_namespaced_deployment(self.environment, body)
        return f"{LABEL}={labels[LABEL]}"

    async def stray(self) -> str:
        name = f"stray-{self.token}"
        body: Any = {"metadata": {"name": name, "labels": {LABEL: name}}, "spec": self._spec()}
        await CoreV1Api(self.kubernetes.rest).create_namespaced_pod(self.environment, body)
        return f"{LABEL}={name}"

    def _spec(self) -> dict[str, Any]:
        if self.running is None:
            pytest.skip("a real cluster is not ours to add to")
        return {"containers": [{"name": "app", "image": "fuse/app:1.0.0", "command": ["sleep", "1000000"]}]}

    @asynccontextmanager
    async def scaled_to_zero(self) -> AsyncIterator[None]:
        """Where ArgoCD heals itself, it may be back before the block ends."""
        name = self.selector.rpartition("=")[2]
        await self._scale(name, 0)
        try:
            yield
        finally:
            await self._scale(name, 1)

    async def _scale(self, name: str, replicas: int) -> None:
        merge: Any = {"_content_type": "application/merge-patch+json"}
        scale = {"spec": {"replicas": replicas}}
        apps = AppsV1Api(self.kubernetes.rest)
        await apps.patch_namespaced_deployment_scale(name, self.environment, scale, **merge)

    def _shell(self, script: str, *arguments: str) -> list[str]:
        return ["sh", "-c", STARTED + script, self.token, *arguments]

    async def _in_pod(self, *argv: str) -> bytes:
        result = await self.pods.read(await self.pod(), argv, timeout=20)
        assert result.exit_code == 0, result
        return result.stdout


def lay_out(directory: Path) -> Arguments:
    """Fill a double's directory with one tiny service."""
    make_image(directory / "images", "app", SERVES)
    make_image(directory / "images", "proxy", SERVES)
    variables = {ENVIRONMENT: {"app": {"GREETING": "good morning", "STRIPE_API_KEY": API_KEY}}}
    (directory / "variables.json").write_text(json.dumps(variables))
    return Arguments(
        directory / "cluster", directory / "images", directory / "variables.json", environments=(ENVIRONMENT,)
    )


def started(directory: Path) -> Running:
    """Start a double with one tiny service."""
    return start(lay_out(directory))


def control(running: Running, what: str) -> None:
    """Tell the double to do something."""
    config = yaml.safe_load(Path(running.kubeconfig).read_text())
    token = config["users"][0]["user"]["token"]
    request = Request(  # noqa: S310 - the double's own address
        f"{running.ready['url']}/sandbox/{what}",
        method="POST",
        headers={"Authorization": f"Bearer {token}"},
    )
    unchecked = ssl._create_unverified_context()  # noqa: S323 - on loopback, with its own authority
    with urlopen(request, context=unchecked, timeout=10) as answer:  # noqa: S310
        assert answer.status == 200


@asynccontextmanager
async def cluster_stand(
    kubeconfig: str, running: Running | None, *, stream_seconds: int = 25, streams: ExecLimiter | None = None
) -> AsyncIterator[ClusterStand]:
    """Make a stand on a cluster; `streams` limits the execs that stay."""
    async with open_kubernetes(KubernetesSettings(kubeconfig=kubeconfig)) as opened:
        kubernetes = replace(opened, streams=streams) if streams else opened
        pods = KubernetesPods(kubernetes, stream_seconds=stream_seconds)
        yield ClusterStand(pods, kubernetes, running)
    if running is not None:
        # A closed TLS connection is gone only after the loop's next rounds, and warns if the loop ends before.
        async with asyncio.timeout(10):
            while connected_to(running.ready["port"]):  # noqa: ASYNC110 - the kernel has no event for us
                await asyncio.sleep(0.01)


def connected_to(port: int) -> bool:
    """Tell whether this process has a connection to that port."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {line[9] for line in lines if line[2].endswith(f":{port:04X}")}
    links = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            links.append(str(descriptor.readlink()))
    return any(f"socket:[{inode}]" in links for inode in inodes)
