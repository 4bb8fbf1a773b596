"""What the tests speak to the double with, and two tiny images: `app` serves, `crash` exits at once."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from sandbox.kubernetes.launch import Arguments

NAMESPACE = "demo-sandbox"
SERVES = '#!/bin/sh\nexec sh -c \'echo "$GREETING"; echo oops >&2; touch "$SANDBOX_READY_FILE"; exec sleep 1000000\'\n'
CRASHES = "#!/bin/sh\necho crashing\nexit 3\n"


def make_image(images: Path, service: str, npm: str) -> None:
    """An image whose start script is the text `npm`."""
    (images / service / "bin").mkdir(parents=True)
    program = images / service / "bin" / "npm"
    program.write_text(npm)
    program.chmod(0o755)
    scripts = {"scripts": {"prod": "node dist/main.js"}}
    (images / service / "package.json").write_text(json.dumps(scripts))


def lay_out(directory: Path) -> Arguments:
    """Images and variables in `directory`, and the arguments of a server for them."""
    images = directory / "images"
    make_image(images, "app", SERVES)
    make_image(images, "crash", CRASHES)
    variables = {
        NAMESPACE: {"app": {"GREETING": "good morning"}},
        "other-sandbox": {"app": {"GREETING": "hello"}},
    }
    (directory / "variables.json").write_text(json.dumps(variables))
    return Arguments(directory / "cluster", images, directory / "variables.json", environments=(NAMESPACE,))


@dataclass
class Answer:
    """What an HTTP request got."""

    code: int
    body: Any


@dataclass
class Ran:
    """What an exec said: output, the Status of channel 3 (None when the stream was cut), the first frame."""

    stdout: bytes = b""
    stderr: bytes = b""
    status: dict[str, Any] | None = None
    first: bytes | None = None


class Connector(aiohttp.TCPConnector):
    """Remembers its sockets, so that their end can be awaited."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[Any] = []

    async def _create_connection(self, *arguments: Any, **more: Any) -> Any:  # noqa: ANN401 - passed on
        protocol = await super()._create_connection(*arguments, **more)
        assert protocol.transport is not None
        self.made.append(protocol.transport.get_extra_info("socket"))
        return protocol


class Api:
    """Speaks plain HTTP and WebSocket to the double, so that a test sees what is on the wire."""

    def __init__(self, kubeconfig: str, session: aiohttp.ClientSession) -> None:
        held = yaml.safe_load(Path(kubeconfig).read_text())
        cluster = held["clusters"][0]["cluster"]
        self.url = cluster["server"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self.tls = ssl.create_default_context(cadata=authority)
        self.headers = {"Authorization": f"Bearer {held['users'][0]['user']['token']}"}
        self.session = session

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        content_type: str = "application/json",
        **query: str,
    ) -> Answer:
        data = None if body is None else json.dumps(body)
        headers = self.headers | ({"Content-Type": content_type} if data is not None else {})
        async with self.session.request(
            method, self.url + path, data=data, headers=headers, params=query, ssl=self.tls
        ) as response:
            text = await response.text()
            is_json = response.content_type == "application/json" and query.get("watch") != "true"
            return Answer(response.status, json.loads(text) if is_json else text)

    async def watch(self, path: str, **query: str) -> list[dict[str, Any]]:
        answer = await self.call("GET", path, watch="true", **query)
        return [json.loads(line) for line in str(answer.body).splitlines()]

    async def until(
        self, path: str, fulfilled: Callable[[Any], bool], seconds: float = 90, **query: str
    ) -> Any:  # noqa: ANN401 - a JSON document
        """The document at `path` once it is as wanted."""
        body: Any = None
        try:
            async with asyncio.timeout(seconds):
                while not fulfilled(body := (await self.call("GET", path, **query)).body):  # noqa: ASYNC110 - it asks a server
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pytest.fail(f"{path} did not become as wanted: {json.dumps(body)[:3000]}")
        return body

    async def pods(self, wanted: int = 1, namespace: str = NAMESPACE) -> list[dict[str, Any]]:
        """The ready pods of `app`, once exactly so many pods are there and ready."""
        body = await self.until(
            f"/api/v1/namespaces/{namespace}/pods",
            lambda found: len(found["items"]) == wanted and all(map(is_ready, found["items"])),
            labelSelector="app.kubernetes.io/name=app",
        )
        items: list[dict[str, Any]] = body["items"]
        return items

    async def pod(self) -> str:
        """The name of the only ready pod of `app`."""
        return str((await self.pods())[0]["metadata"]["name"])

    @asynccontextmanager
    async def stream(
        self, pod: str, *command: str, version: int = 5, **query: str
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """An exec's WebSocket."""
        query = {"stdout": "true", "stderr": "true"} | query
        pairs = [("command", word) for word in command] + list(query.items())
        async with self.session.ws_connect(
            f"{self.url}/api/v1/namespaces/{NAMESPACE}/pods/{pod}/exec",
            params=pairs,
            headers=self.headers,
            protocols=(f"v{version}.channel.k8s.io",),
            ssl=self.tls,
        ) as socket:
            yield socket

    async def run(
        self, pod: str, *command: str, version: int = 5, stdin: bytes | None = None, **query: str
    ) -> Ran:
        """Runs a command to its end; `stdin` is sent and, on v5, ended."""
        if stdin is not None:
            query["stdin"] = "true"
        ran = Ran()
        async with self.stream(pod, *command, version=version, **query) as socket:
            if stdin is not None:
                await socket.send_bytes(b"\0" + stdin)
                await socket.send_bytes(b"\xff\0")
            async for message in socket:
                data: bytes = message.data
                ran.first = data if ran.first is None else ran.first
                if data[0] == 1:
                    ran.stdout += data[1:]
                elif data[0] == 2:
                    ran.stderr += data[1:]
                elif data[0] == 3 and len(data) > 1:
                    ran.status = json.loads(data[1:])
        return ran

    async def output(self, pod: str, script: str) -> str:
        """What a shell script in the pod's container prints; it must succeed."""
        ran = await self.run(pod, "sh", "-c", script)
        assert ran.status, ran
        assert ran.status["status"] == "Success", ran
        return ran.stdout.decode().strip()


def is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod["status"].get("conditions") or []
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]
