"""Running doubles, and what speaks to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from sandbox.kubernetes.launch import Arguments, Running, start
from tests.contract.kubernetes_double.stand import NAMESPACE, Api, lay_out


@pytest.fixture
def own_double(tmp_path: Path) -> Iterator[list[Running]]:
    """A server for one test that kills or restarts it: the last of the list is the running one."""
    running = [start(lay_out(tmp_path))]
    yield running
    if running[-1].process.poll() is None:
        running[-1].stop()


@pytest.fixture
def restart(tmp_path: Path) -> Callable[[], Running]:
    """Starts the server of `own_double` again on the same directory."""
    arguments = Arguments(tmp_path / "cluster", tmp_path / "images", tmp_path / "variables.json")
    return lambda: start(replace(arguments, environments=(NAMESPACE,)))


@pytest.fixture
def api(double: Running, session: aiohttp.ClientSession) -> Api:
    return Api(double.kubeconfig, session)


@pytest.fixture
def viewer(double: Running, session: aiohttp.ClientSession) -> Api:
    return Api(str(Path(double.kubeconfig).with_name("viewer.kubeconfig")), session)


@pytest.fixture
def connect(session: aiohttp.ClientSession) -> Callable[[Running], Api]:
    return lambda running: Api(running.kubeconfig, session)
