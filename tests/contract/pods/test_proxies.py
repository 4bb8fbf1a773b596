"""The way to the API server: REST and exec take the same one."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from daemon.adapters.kubernetes.client import KubernetesSettings, open_kubernetes
from daemon.adapters.kubernetes.connection.proxies import proxy_for
from daemon.ports.errors import PermanentError, TemporaryError
from sandbox.kubernetes.launch import Running
from schemas.reasons import Reason
from tests.contract.pods.kubeconfigs import kubeconfig
from tests.contract.pods.stands import cluster_stand

SERVER = "https://10.0.0.1:6443"


@dataclass
class ConnectProxy:
    """An HTTP proxy that makes tunnels by CONNECT, and notes where to. It wants a password where it has one."""

    port: int = 0
    password: str = ""
    asked: list[str] = field(default_factory=list)
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ConnectProxy]:
        server = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(task := asyncio.ensure_future(self._tunnel(reader, writer)))
        task.add_done_callback(self._open.discard)

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked = re.match(r"CONNECT (\S+):(\d+) ", head)
        assert asked, head
        if self.password and "proxy-authorization: basic" not in head.lower():
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        self.asked.append(f"{asked[1]}:{asked[2]}")
        there, onward = await asyncio.open_connection("127.0.0.1", int(asked[2]))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            await asyncio.gather(_pass_on(reader, onward), _pass_on(there, writer))
        finally:
            writer.close()
            onward.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof() if writer.can_write_eof() else None


@pytest.fixture
async def proxy() -> AsyncIterator[ConnectProxy]:
    async with ConnectProxy().serving() as serving:
        yield serving


async def test_g2_rest_and_exec_go_through_the_kubeconfigs_proxy(
    double: Running, tmp_path: Path, proxy: ConnectProxy
) -> None:
    # A name that only the proxy knows: what does not go through it can't arrive.
    cluster = {
        "server": f"https://api.cluster.invalid:{double.ready['port']}",
        "tls-server-name": "127.0.0.1",
        "proxy-url": f"http://127.0.0.1:{proxy.port}",
    }
    config = kubeconfig(double, tmp_path / "kubeconfig", cluster=cluster)
    async with cluster_stand(config, double) as stand:
        assert await stand.pods.environments()
        rest = len(proxy.asked)
        result = await stand.pods.read(await stand.pod(), ["echo", "through"], timeout=20)
        assert result.stdout == b"through\n"
    assert 0 < rest < len(proxy.asked)
    assert set(proxy.asked) == {f"api.cluster.invalid:{double.ready['port']}"}


async def test_g2_rest_and_exec_obey_the_environments_proxy(
    double: Running, tmp_path: Path, proxy: ConnectProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:secret-of-the-proxy@127.0.0.1:{proxy.port}")
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/8")
    proxy.password = "secret-of-the-proxy"
    server = f"https://api.cluster.invalid:{double.ready['port']}"
    cluster = {"server": server, "tls-server-name": "127.0.0.1"}
    config = kubeconfig(double, tmp_path / "kubeconfig", cluster=cluster)
    async with cluster_stand(config, double) as stand:
        result = await stand.pods.read(await stand.pod(), ["echo", "through"], timeout=20)
        assert result.stdout == b"through\n"
    assert len(proxy.asked) > 1


async def test_g2_certificates_that_are_not_looked_at_are_not_for_exec_either(
    double: Running, tmp_path: Path
) -> None:
    cluster = {"insecure-skip-tls-verify": True, "certificate-authority-data": None}
    config = kubeconfig(double, tmp_path / "kubeconfig", cluster=cluster)
    async with cluster_stand(config, double) as stand:
        assert (await stand.pods.read(await stand.pod(), ["true"], timeout=20)).exit_code == 0


async def test_g2_a_proxy_that_refuses_us_is_temporary_and_its_password_is_not_told(
    double: Running, tmp_path: Path, proxy: ConnectProxy
) -> None:
    proxy.password = "other"
    cluster = {"proxy-url": f"http://127.0.0.1:{proxy.port}"}
    async with cluster_stand(kubeconfig(double, tmp_path / "kubeconfig", cluster=cluster), double) as stand:
        with pytest.raises(TemporaryError) as raised:
            await stand.pods.environments()
    assert raised.value.reason is Reason.KUBERNETES_UNREACHABLE
    assert "407" in raised.value.detail


@pytest.mark.parametrize("proxy_url", ["socks5://127.0.0.1:1080", "socks5h://u:hunter22@p:1", "http://"])
async def test_g2_a_proxy_that_can_not_be_used_is_refused_at_start_by_its_name(
    double: Running, tmp_path: Path, proxy_url: str
) -> None:
    config = kubeconfig(double, tmp_path / "kubeconfig", cluster={"proxy-url": proxy_url})
    with pytest.raises(PermanentError) as raised:
        async with open_kubernetes(KubernetesSettings(kubeconfig=config)):
            pass
    assert raised.value.reason is Reason.KUBERNETES_UNREACHABLE
    assert "proxy-url" in raised.value.detail
    assert proxy_url.partition(":")[0] in raised.value.detail
    assert "hunter22" not in str(raised.value)


@pytest.mark.parametrize(
    ("server", "no_proxy", "expected"),
    [
        (SERVER, "", "http://p:3128"),
        (SERVER, "10.0.0.0/8", None),
        (SERVER, "10.1.0.0/16", "http://p:3128"),
        (SERVER, "10.0.0.1", None),
        (SERVER, "10.0.0.1:443", "http://p:3128"),
        (SERVER, "other, *", None),
        (SERVER, "not/a/network", "http://p:3128"),
        ("https://api.example.com", ".example.com", None),
        ("https://api.example.com", "example.com", None),
        ("https://api.example.com", "*.example.com:443", None),
        ("https://badexample.com", "example.com", "http://p:3128"),
        ("https://[fd00::1]:6443", "fd00::/8", None),
        ("https://127.0.0.1:6443", "", None),
        ("https://localhost:6443", "", None),
        ("http://10.0.0.1:8080", "", None),
    ],
)
def test_g2_no_proxy_is_read_as_kubectl_reads_it(server: str, no_proxy: str, expected: str | None) -> None:
    assert proxy_for(server, None, {"HTTPS_PROXY": "p:3128", "NO_PROXY": no_proxy}) == expected
    assert proxy_for(server, None, {"https_proxy": "p:3128", "no_proxy": no_proxy}) == expected
    assert proxy_for(server, "http://k:1", {"HTTPS_PROXY": "p:3128", "NO_PROXY": no_proxy}) == "http://k:1"
