"""What an error shows of a tool's output was masked before it was cut: half of a secret has no shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from github import GithubException

from daemon.adapters.github.errors import error_text
from daemon.adapters.kubernetes.exec.short_exec import unexpected_exit
from daemon.adapters.kubernetes.exec.websocket_stream import ContainerRef
from daemon.adapters.postgres.errors import one_line
from daemon.ports.pods.cluster import Result
from daemon.redaction.known_values import KNOWN
from schemas.resets import ResetState
from tests.memory.processes import Process
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.stand import Engine, catalog

SECRET = "tr0ub4dor-and-3"
PARTS = tuple(SECRET[at : at + 4] for at in range(len(SECRET) - 3))


@pytest.fixture(autouse=True)
def _known() -> Iterator[None]:
    KNOWN.learn([SECRET])
    yield
    KNOWN.forget([SECRET])


def _of_script(said: str) -> str:
    return unexpected_exit("prepare", ContainerRef("e", "p", "c"), Result(1, b"", said.encode())).detail


def _of_github(said: str) -> str:
    return error_text(GithubException(500, {"message": said}), ())


@pytest.mark.parametrize("told", [_of_script, _of_github, one_line])
def test_h1_an_error_shows_no_part_of_a_secret_at_the_place_where_its_text_is_cut(
    told: Callable[[str], str],
) -> None:
    for length in range(700):
        shown = told("x" * length + SECRET + "y" * (700 - length))
        assert not [part for part in PARTS if part in shown], (length, shown)


def test_h1_what_a_handshakes_tool_said_is_masked_before_it_is_cut() -> None:
    async def scenario(length: int) -> None:
        async def talks(process: Process) -> int:
            process.write(b"x" * 100 + SECRET.encode() + b"y" * length)
            return 1

        engine = Engine(catalog(), handshake=talks)
        await engine.ask()
        stopped = await engine.drive()
        assert stopped.state is ResetState.FAILED
        assert "yyy" in (stopped.detail or "")
        assert not [part for part in PARTS if part in (stopped.detail or "")]

    for length in (490, 494, 496):
        run(scenario(length))
