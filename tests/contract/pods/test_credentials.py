"""Credentials that are rotated while a command runs: the command stays in sight, or comes back into it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.adapters.kubernetes.client import KubernetesSettings, open_kubernetes
from daemon.adapters.kubernetes.connection import credentials as module
from daemon.adapters.kubernetes.connection.configuration import load
from daemon.adapters.kubernetes.connection.credentials import Credentials
from daemon.adapters.kubernetes.pods import KubernetesPods
from daemon.ports.errors import PortError, TemporaryError
from daemon.ports.pods.commands import Observation
from sandbox.kubernetes.api import certificates
from sandbox.kubernetes.launch import Running
from schemas.reasons import Reason
from schemas.wire import AttemptId
from tests.contract.pods.kubeconfigs import exec_plugin, kubeconfig, token_file
from tests.contract.pods.stands import ClusterStand, cluster_stand, control

Users = Callable[[Running, Path], dict[str, Any]]


def by_token_file(running: Running, directory: Path) -> dict[str, Any]:
    """A file beside the kubeconfig, which a rotation replaces."""
    link = directory / "token"
    with suppress(FileExistsError):
        link.symlink_to(token_file(running))
    # As kubectl does it, the file counts, and not the token that was copied from it once.
    return {"tokenFile": "token", "token": "long-ago"}


def by_plugin(running: Running, directory: Path) -> dict[str, Any]:
    """A program, which is asked again after a 401."""
    return exec_plugin(directory, token_file(running))


async def rotate(running: Running) -> None:
    """Give the daemon's account another token, and refuse the former one."""
    await asyncio.to_thread(control, running, "tokens/resetd/rotate")


@asynccontextmanager
async def stand_of(running: Running, config: str) -> AsyncIterator[ClusterStand]:
    async with cluster_stand(config, running, stream_seconds=1) as stand:
        yield stand


async def followed(stand: ClusterStand, control: Any, offset: int) -> list[Observation]:  # noqa: ANN401
    async with asyncio.timeout(30), aclosing(stand.pods.follow(control, offset=offset)) as observations:
        return [seen async for seen in observations]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.1)


@pytest.mark.parametrize("user", [by_token_file, by_plugin])
async def test_g1_a_command_stays_in_sight_while_the_credentials_are_rotated(
    double: Running, tmp_path: Path, user: Users
) -> None:
    config = kubeconfig(double, tmp_path / "kubeconfig", user=user(double, tmp_path))
    async with stand_of(double, config) as stand:
        attempt = AttemptId(f"{stand.token}/seed.app/1")
        recorded = await stand.pods.prepare(await stand.pod(), attempt)
        await stand.pods.launch(recorded, attempt, stand.waits())
        await rotate(double)
        following = asyncio.create_task(followed(stand, recorded, 0))
        assert await stand.pods.environments()
        await rotate(double)
        await stand.release()
        assert (await following)[-1].exit_code == 0
        assert await stand.pods.gone(recorded, attempt)


async def test_g1_a_kubeconfig_whose_own_token_is_replaced_is_read_again(double: Running) -> None:
    config = str(Path(double.kubeconfig).with_name("resetd.kubeconfig"))
    async with stand_of(double, config) as stand:
        pod = await stand.pod()
        await rotate(double)
        assert (await stand.pods.read(pod, ["echo", "there"], timeout=20)).stdout == b"there\n"
        await rotate(double)
        assert await stand.pods.environments()


async def test_g1_the_account_of_a_pod_is_read_again(
    double: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(kubeconfig, double, tmp_path / "kubeconfig")
    outside = await load(KubernetesSettings(str(tmp_path / "kubeconfig")))
    account = "kubernetes_asyncio.config.incluster_config"
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(double.ready["port"]))
    # As the kubelet mounts it: a link to the file of the present.
    (tmp_path / "token").symlink_to(token_file(double))
    monkeypatch.setattr(f"{account}.SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(f"{account}.SERVICE_CERT_FILENAME", outside.configuration.ssl_ca_cert)
    async with open_kubernetes(KubernetesSettings()) as kubernetes:
        pods = KubernetesPods(kubernetes)
        assert await pods.environments()
        await rotate(double)
        assert await pods.environments()


async def test_g1_credentials_that_stay_refused_are_out_of_sight_and_no_missing_right(
    double: Running, tmp_path: Path
) -> None:
    user = {"token": "never-given-to-anybody"}
    config = kubeconfig(double, tmp_path / "kubeconfig", user=user)
    good = str(Path(double.kubeconfig).with_name("resetd.kubeconfig"))
    async with cluster_stand(good, double) as sound:
        pod = await sound.pod()
    async with cluster_stand(config, double) as stand:
        for asked in (stand.pods.environments(), stand.pods.read(pod, ["true"], timeout=5)):
            with pytest.raises(PortError) as raised:
                await asked
            assert isinstance(raised.value, TemporaryError)
            assert raised.value.reason is Reason.KUBERNETES_UNREACHABLE
            assert "credentials" in raised.value.detail
            assert raised.value.hint


async def test_g1_a_plugins_token_is_renewed_before_it_expires(double: Running, tmp_path: Path) -> None:
    soon = f"{datetime.now(UTC) + timedelta(seconds=30):%Y-%m-%dT%H:%M:%SZ}"
    config = kubeconfig(double, tmp_path / "kubeconfig", user=exec_plugin(tmp_path, token_file(double), soon))
    async with stand_of(double, config) as stand:
        await asyncio.sleep(0.2)
        asked = (tmp_path / "calls").stat().st_size
        await stand.pods.environments()
        assert (tmp_path / "calls").stat().st_size > asked


async def test_g1_what_can_not_be_read_for_a_moment_leaves_the_credentials_as_they_were(
    double: Running, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(token_file(double).read_text() + "\n")
    config = kubeconfig(double, tmp_path / "kubeconfig", user={"tokenFile": str(token)})
    settings = KubernetesSettings(config)
    credentials = Credentials(settings, await load(settings))
    held = dict(credentials.configuration.api_key)
    assert not held["BearerToken"].endswith("\n")
    for broken in ("", None):
        if broken is None:
            token.unlink()
        else:
            token.write_text(broken)
        await credentials.renew(0)
        assert (credentials.generation, credentials.configuration.api_key) == (0, held)
        await asyncio.sleep(0.15)
    token.write_text("another")
    assert await credentials.renew(0)
    assert credentials.configuration.api_key == {"BearerToken": "Bearer another"}


async def test_g1_an_authority_that_is_replaced_is_believed_without_a_restart(
    double: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.0)
    (tmp_path / "other").mkdir()
    certificates.ensure(tmp_path / "other")
    right = Path(double.kubeconfig).with_name(certificates.AUTHORITY).read_bytes()
    authority = tmp_path / "ca.crt"
    authority.write_bytes((tmp_path / "other" / certificates.AUTHORITY).read_bytes())
    cluster = {"certificate-authority": str(authority), "certificate-authority-data": None}
    config = kubeconfig(double, tmp_path / "kubeconfig", cluster=cluster)
    async with stand_of(double, config) as stand:
        with pytest.raises(TemporaryError):
            await stand.pods.environments()
        authority.write_bytes(right)
        assert await stand.pods.environments()
        assert (await stand.pods.read(await stand.pod(), ["true"], timeout=20)).exit_code == 0
        authority.write_bytes(b"half of a fi")
        assert await stand.pods.environments()
