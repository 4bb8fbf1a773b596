"""A namespace that the account may not list is spared for a while."""

from __future__ import annotations

from kubernetes_asyncio.client import CoreV1Api

from daemon.adapters.kubernetes.everywhere import Everywhere
from daemon.ports.errors import PermanentError
from schemas.reasons import Reason
from tests.contract.quiescing.stands import ENVIRONMENT, ClusterStand


async def test_it_is_asked_again_only_after_that_time(on_double: ClusterStand) -> None:
    core = CoreV1Api(on_double.kubernetes.rest)
    asked: list[str | None] = []

    async def of(namespace: str | None) -> list[str]:
        asked.append(namespace)
        if namespace != ENVIRONMENT:
            raise PermanentError(Reason.KUBERNETES_FORBIDDEN, "missing right: list things")
        return ["ours"]

    sparing, asking = Everywhere(core, spare=600), Everywhere(core)
    assert await sparing.list("things", of) == ["ours"]
    asked.clear()
    assert await sparing.list("things", of) == ["ours"]
    assert asked == [ENVIRONMENT]
    await asking.list("things", of)
    asked.clear()
    assert await asking.list("things", of) == ["ours"]
    assert len(asked) > 1
