"""The hubs that the tests of this folder run on, as the people use them who push."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import httpx

from daemon.adapters.github.connection import Connection
from daemon.adapters.github.repositories import GitHubRepositories
from daemon.ports.repositories import Repositories
from tests.memory.repositories import MemoryRepositories


def ours() -> None:
    """Raise nothing: the lease is still ours."""


class Stand(Protocol):
    """A hub with a repository of this test's own, empty."""

    name: str

    @property
    def port(self) -> Repositories: ...

    async def push(self, branch: str = "main") -> str: ...

    async def merge(self, branch: str, other: str) -> str: ...

    async def refs(self) -> dict[str, str]: ...

    async def protect(self, branch: str) -> None: ...

    async def lose_the_answer_of_a_rewinding(self) -> None: ...


class MemoryStand:
    def __init__(self, name: str) -> None:
        self.name = name
        self.port: MemoryRepositories = MemoryRepositories()
        self._repository = self.port.make(name)

    async def push(self, branch: str = "main") -> str:
        return self._repository.push(branch)

    async def merge(self, branch: str, other: str) -> str:
        return self._repository.push(branch, merging=other)

    async def refs(self) -> dict[str, str]:
        return dict(self._repository.refs)

    async def protect(self, branch: str) -> None:
        self._repository.protected.add(branch)

    async def lose_the_answer_of_a_rewinding(self) -> None:
        self.port.lose_answers = 1


class GitHubStand:
    def __init__(self, hub: dict[str, str], name: str) -> None:
        self.name = name
        self.hub = hub
        self.connection = Connection(
            owner=hub["owner"],
            api_url=hub["url"],
            token=hub["token"],
            request_timeout=3,
            operation_timeout=20,
        )
        self.port: GitHubRepositories = GitHubRepositories(self.connection)
        self.control("PUT", "")

    def control(self, method: str, path: str, body: Any = None) -> Any:  # noqa: ANN401 - JSON
        answer = httpx.request(
            method, f"{self.hub['url']}/_sandbox/repos/{self.hub['owner']}/{self.name}{path}", json=body
        )
        answer.raise_for_status()
        return answer.json()

    def fault(self, **fault: object) -> None:
        httpx.post(f"{self.hub['url']}/_sandbox/faults", json=fault).raise_for_status()

    def mend(self) -> None:
        httpx.delete(f"{self.hub['url']}/_sandbox/faults").raise_for_status()

    def hold(self, call: str, *, after: int) -> Callable[[], Awaitable[None]]:
        """Hold up a call for a second, but not the first `after` ones; the returned wait ends once it has come."""
        for _ in range(after):
            self.fault(match=call, action="delay", seconds=0)
        self.fault(match=call, action="delay", seconds=1)
        wanted = self._calls(call) + after + 1

        async def came() -> None:
            async with asyncio.timeout(20):
                while self._calls(call) < wanted:  # noqa: ASYNC110 - the hub sends no event
                    await asyncio.sleep(0.02)

        return came

    def _calls(self, call: str) -> int:
        return self.calls().count(call)

    def accept_token(self, token: str, *, accepted: bool = True) -> None:
        """Have the hub take a token, or refuse it from now on."""
        method = "PUT" if accepted else "DELETE"
        httpx.request(method, f"{self.hub['url']}/_sandbox/tokens/{token}").raise_for_status()

    def calls(self) -> list[str]:
        """All calls to the API so far, each as `METHOD PATH`."""
        made: list[str] = httpx.get(f"{self.hub['url']}/_sandbox/requests").raise_for_status().json()
        return made

    def register_app(self, number: int, public_key: str, *, contents: str = "write") -> None:
        url = f"{self.hub['url']}/_sandbox/apps/{number}"
        body = {"publicKey": public_key, "permissions": {"contents": contents}}
        httpx.put(url, json=body).raise_for_status()

    async def push(self, branch: str = "main") -> str:
        sha: str = self.control("POST", "/commits", {"branch": branch, "files": {"a": branch}})["sha"]
        return sha

    async def merge(self, branch: str, other: str) -> str:
        sha: str = self.control("POST", "/merges", {"branch": branch, "head": other})["sha"]
        return sha

    async def refs(self) -> dict[str, str]:
        found: dict[str, str] = self.control("GET", "/refs")
        return {name.removeprefix("refs/heads/"): sha for name, sha in found.items() if "/heads/" in name}

    async def protect(self, branch: str) -> None:
        self.control("PUT", f"/rules/{branch}", [{"type": "non_fast_forward"}])

    async def lose_the_answer_of_a_rewinding(self) -> None:
        # The first /graphql asks for the repository's id, the second is the mutation; so is its retry.
        self.fault(match="POST /graphql", action="delay", times=1, seconds=0)
        self.fault(match="POST /graphql", action="drop-after", times=1)
