"""The faults that requests of the daemon's account meet at the API server. Other accounts are spared."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from aiohttp import web

from sandbox.faults import kinds
from sandbox.faults.armoury import Armed, Armoury
from sandbox.faults.kinds import FaultKind
from sandbox.kubernetes.api.streams.exec import Streams, container_name
from sandbox.kubernetes.api.streams.exec_stream import ExecStream
from sandbox.kubernetes.faults.background import Background
from sandbox.kubernetes.faults.container_faults import ContainerFaults
from sandbox.kubernetes.faults.exec_streams import FaultyExecStream, PendingFault
from sandbox.kubernetes.faults.impostors import Impostors
from sandbox.kubernetes.faults.pod_disruptions import PodDisruptions, is_a_launch
from sandbox.kubernetes.node import pod_specs
from sandbox.kubernetes.node.kubelet import Kubelet
from sandbox.kubernetes.objects import statuses
from sandbox.kubernetes.objects.objects import Object

_REFUSALS = {
    FaultKind.EXEC_403: (403, "Forbidden", 'pods "{}" is forbidden: may not get resource "pods/exec"'),
    FaultKind.EXEC_404: (404, "NotFound", 'pods "{}" not found'),
    FaultKind.EXEC_429: (429, "TooManyRequests", "Too many requests, please try again later."),
    FaultKind.EXEC_500: (500, "InternalError", "Internal error occurred: etcdserver: request timed out"),
    FaultKind.EXEC_503: (503, "ServiceUnavailable", "the server is currently unable to handle the request"),
}
_LATE = frozenset({FaultKind.EXEC_BEGINS_LATE})
_BEFORE_UPGRADE = frozenset({*_REFUSALS, FaultKind.EXEC_HANDSHAKE_HUNG})


class DaemonRequestFaults:
    """All faults that requests of the account `user` may meet."""

    def __init__(self, armoury: Armoury, kubelet: Kubelet, user: str) -> None:
        self.user = user
        self._armoury = armoury
        self._kubelet = kubelet
        self._background = Background()
        self._disruptions = PodDisruptions(armoury, kubelet, self._background)
        self._container_faults = ContainerFaults(armoury, kubelet.node.runtime, self._background)
        self._impostors = Impostors(kubelet.node.objects, armoury, self._background)

    async def recover(self) -> None:
        """Undo what the faults of a server that was killed left behind."""
        await self._container_faults.recover()
        self._impostors.recover()
        for stream in self._armoury.effects(kinds.EXEC):  # the stream ended with the server that carried it
            self._armoury.forget(stream)
        self._disruptions.recover()

    async def close(self) -> None:
        """End the faults that wait for their moment."""
        await self._background.close()

    async def listing(self, namespace: str, selector: str) -> None:
        """Let impostors appear before the pods of a service are listed."""
        await self._impostors.appear(namespace, selector)

    async def exec(self, request: web.Request, streams: Streams, pod: Object) -> web.StreamResponse:
        """Answer an exec, with the faults that are meant for its pod."""
        command = request.query.getall("command", [])
        fault = self._pending(pod, command)
        if fault is not None and fault.happens(*_BEFORE_UPGRADE):
            return await self._refuse(request, pod, fault)
        name = container_name(pod, request.query.get("container", ""))
        container = self._kubelet.node.container_of(pod, name)
        why = None
        if container is not None and command:
            for armed in self._meant_for(pod, kinds.POD_DISRUPTIONS):
                self._disruptions.watch(armed, pod, container)
            for armed in self._meant_for(pod, kinds.CONTAINER_FAULTS):
                why = await self._container_faults.meet(armed, container, command) or why
        stream_of = ExecStream if fault is None else partial(FaultyExecStream, fault)
        return await streams.serve(request, pod, stream_of, cannot_start=why)

    def _pending(self, pod: Object, command: Sequence[str]) -> PendingFault | None:
        """The fault that the stream will meet: the oldest of those that are armed for its pod; None: it meets none.

        Only a launch begins late, and one launch at a time.
        """
        armed = self._meant_for(pod, kinds.EXEC)
        if not is_a_launch(command) or self._armoury.effects(_LATE):
            armed = [candidate for candidate in armed if candidate.fault.kind not in _LATE]
        return PendingFault(self._armoury, armed[0]) if armed else None

    async def _refuse(self, request: web.Request, pod: Object, fault: PendingFault) -> web.Response:
        """Answer what comes instead of the upgrade: a Status, or silence."""
        kind = fault.armed.fault.kind
        if kind is FaultKind.EXEC_HANDSHAKE_HUNG:
            assert request.transport is not None
            await fault.silence(request.transport)
            return web.Response(status=500)
        code, reason, message = _REFUSALS[kind]
        body = statuses.failure(code, reason, message.format(pod["metadata"]["name"]))
        retry = {"Retry-After": "1"} if kind is FaultKind.EXEC_429 else {}
        return web.json_response(body, status=code, headers=retry)

    def _meant_for(self, pod: Object, of: frozenset[FaultKind]) -> list[Armed]:
        # What was injected stands before the service's own container.
        image = pod["spec"]["containers"][-1]["image"]
        return self._armoury.meeting(of, pod["metadata"]["namespace"], pod_specs.service(pod, image))
