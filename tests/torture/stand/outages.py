"""Takes services of environments away, so that nobody can ask them what they use, and brings them back."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import httpx

from sandbox.platform.platform import Platform
from sandbox.polling import wait_until
from tests.torture.judge.evidence import Out
from tests.torture.script.script import Gone, Outage

_WITHIN = 60.0
_REPLICAS = 1


class Outages:
    """The outages of one round."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self.outages: list[Out] = []

    def begin(self, outage: Outage) -> None:
        """Take the service away; it is gone when this returns.

        Raises:
            httpx.HTTPError: the API server is away; it is to be begun again.
        """
        cluster, environment, service = self._platform.cluster, outage.environment, outage.service
        asyncio.run(cluster.hold_health(environment, "Healthy"))
        if outage.gone is Gone.UNSEEN:
            path = f"/apis/apps/v1/namespaces/{environment}/deployments/{service}"
            try:
                asyncio.run(cluster.call("DELETE", path))
            except httpx.HTTPStatusError as error:
                if error.response.status_code != httpx.codes.NOT_FOUND:
                    raise
        else:
            asyncio.run(cluster.scale(environment, service, 0))
        if not wait_until(lambda: not self._pods(environment, service), within=_WITHIN):
            raise RuntimeError(f"{environment}/{service} does not go away")
        self.outages.append(Out(environment, service, time.time()))

    def end(self) -> None:
        """Bring all services back, and wait until they are ready.

        Raises:
            httpx.HTTPError: the API server is away.
        """
        over = time.time()
        cluster = self._platform.cluster
        for out in [one for one in self.outages if one.over is None]:
            named = {one["metadata"]["name"] for one in asyncio.run(cluster.deployments(out.environment))}
            if out.service in named:
                asyncio.run(cluster.scale(out.environment, out.service, _REPLICAS))
            asyncio.run(cluster.let_health_go(out.environment))
            if not wait_until(
                lambda out=out: bool(self._pods(out.environment, out.service)),  # type: ignore[misc]
                within=_WITHIN,
            ):
                raise RuntimeError(f"{out.environment}/{out.service} does not come back")
            asyncio.run(cluster.until_ready([out.environment], within=_WITHIN))
        self.outages = [replace(one, over=one.over or over) for one in self.outages]

    def _pods(self, environment: str, service: str) -> bool:
        return bool(asyncio.run(self._platform.cluster.pods(environment, service)))
