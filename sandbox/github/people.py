"""A client of the hub's control calls, for the platform and for tests: what people do there, and what breaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

_SECONDS = 10.0


@dataclass(frozen=True)
class People:
    """Acts on the hub as people would. `url`, `owner` and `token` are those of the hub's ready line."""

    url: str
    owner: str
    token: str

    async def push(
        self,
        repository: str,
        files: Mapping[str, str],
        *,
        branch: str = "main",
        message: str = "Change",
    ) -> str:
        """Commit these files on a branch; returns its new head."""
        body = {"branch": branch, "message": message, "files": dict(files)}
        answer = await self._call("POST", f"/repos/{self.owner}/{repository}/commits", body)
        return str(answer["sha"])

    async def refs(self, repository: str) -> dict[str, str]:
        """All refs by full name, such as `refs/heads/main`."""
        answer: dict[str, str] = await self._call("GET", f"/repos/{self.owner}/{repository}/refs")
        return answer

    async def head(self, repository: str, branch: str = "main") -> str:
        """The head of a branch; KeyError when there is no such branch."""
        return (await self.refs(repository))[f"refs/heads/{branch}"]

    async def put_ref(self, repository: str, ref: str, sha: str) -> None:
        """Set `heads/main`, `tags/v1`, ... past all rules; an empty sha deletes it."""
        await self._call("PUT", f"/repos/{self.owner}/{repository}/refs/{ref}", {"sha": sha})

    async def protect(self, repository: str, branch: str, *rules: str) -> None:
        """Put rules such as `non_fast_forward` in force; none ends the protection."""
        await self._call(
            "PUT", f"/repos/{self.owner}/{repository}/rules/{branch}", [{"type": rule} for rule in rules]
        )

    async def break_things(self, match: str, action: str, **more: object) -> None:
        """Add a fault: see `sandbox.github.hub.Fault`; `match` is searched in `METHOD PATH`."""
        await self._call("POST", "/faults", {"match": match, "action": action, **more})

    async def mend(self) -> None:
        """Remove all faults."""
        await self._call("DELETE", "/faults")

    async def requests(self) -> Sequence[str]:
        """All calls to the API so far, each as `METHOD PATH`."""
        answer: list[str] = await self._call("GET", "/requests")
        return answer

    async def _call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        async with httpx.AsyncClient(timeout=_SECONDS, trust_env=False) as client:
            answer = await client.request(method, f"{self.url}/_sandbox{path}", json=body)
            answer.raise_for_status()
            return answer.json()
