"""A running double with its armoury, and clients of the daemon's account and of the admin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from sandbox.faults.armoury import Armoury
from sandbox.faults.faults import Faults
from sandbox.kubernetes.launch import Running
from tests.contract.kubernetes_double.stand import Api


@pytest.fixture
async def faults(double: Running) -> AsyncIterator[Faults]:
    """Those of the double; each test ends with none armed."""
    faults = Faults(Path(double.kubeconfig).parent / "faults")
    yield faults
    await faults.clear()


@pytest.fixture
def armoury(tmp_path: Path) -> Armoury:
    return Armoury(tmp_path / "faults")


@pytest.fixture
def daemon(double: Running, session: aiohttp.ClientSession) -> Api:
    """A client with the daemon's account."""
    return Api(str(Path(double.kubeconfig).with_name("resetd.kubeconfig")), session)


@pytest.fixture
def admin(double: Running, session: aiohttp.ClientSession) -> Api:
    return Api(double.kubeconfig, session)
