"""Reading the cluster: namespaces, deployments, pods, logs. Each call has a time limit: the client sets none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubernetes_asyncio.client import ApiException, AppsV1Api, CoreV1Api, V1Deployment, V1Pod, V1ReplicaSet

from daemon.adapters.kubernetes import pod_selection
from daemon.adapters.kubernetes.client import Kubernetes
from daemon.adapters.kubernetes.errors import is_missing, translated
from daemon.ports.errors import PermanentError, TemporaryError
from daemon.ports.pods.cluster import Pod
from daemon.ports.pods.commands import ContainerFate, Fate
from schemas.reasons import Reason
from schemas.resets import Control

_SECONDS = 15.0
_PAGE = 500
_BAD_REQUEST = 400


class Cluster:
    """Reads by the API server's REST interface."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self._core = CoreV1Api(kubernetes.rest)
        self._apps = AppsV1Api(kubernetes.rest)

    async def environments(self) -> tuple[str, ...]:
        """As `Pods.environments`."""
        names: list[str] = []
        after = ""
        while True:
            with translated("list namespaces", "list namespaces"):
                page = await self._core.list_namespace(
                    limit=_PAGE, _continue=after, _request_timeout=_SECONDS
                )
            names += [str(one.metadata.name) for one in page.items if not one.metadata.deletion_timestamp]
            after = page.metadata._continue or ""  # noqa: SLF001 - the client's name for `continue`
            if not after:
                return tuple(sorted(names))

    async def consumers(self, environment: str, selectors: Sequence[str]) -> Mapping[str, int]:
        """As `Pods.consumers`; of several Deployments of one service the sum."""
        deployments = await self._deployments(environment)
        found: dict[str, int] = {}
        for selector in selectors:
            if makers := pod_selection.makers(deployments, selector):
                found[selector] = sum(int(one.spec.replicas) for one in makers)
            elif pods := await self._pods(environment, selector):
                found[selector] = len(pods)
        return found

    async def choose(self, environment: str, selector: str, container: str | None) -> Pod:
        """As `Pods.choose`."""
        found = await self._pods(environment, selector)
        pods = pod_selection.candidates(found, selector)
        if not pods:
            raise await self._nobody(environment, selector, some=bool(found))
        names = sorted({name for pod in pods if (name := pod_selection.replica_set_of(pod))})
        if len(names) > 1:
            names = pod_selection.newest_first([await self._replica_set(environment, name) for name in names])
        return pod_selection.choose(pods, names, container, environment, selector)

    async def pod(self, environment: str, name: str) -> V1Pod | None:
        """The pod of that name as it is now, whatever its uid; None where there is none."""
        with translated(f"read pod {environment}/{name}", f"get pods in {environment}"):
            try:
                return await self._core.read_namespaced_pod(name, environment, _request_timeout=_SECONDS)
            except ApiException as error:
                if is_missing(error):
                    return None
                raise

    async def fate(self, control: Control) -> ContainerFate:
        """As `Pods.fate`. A higher restart count of the same pod also proves the end: kubelet never runs two."""
        pod = await self.pod(control.environment, control.pod)
        if pod is None or pod.metadata.uid != control.pod_uid:
            return ContainerFate(Fate.UNKNOWN)
        status = pod_selection.status_of(pod, control.container)
        if status is None:
            return ContainerFate(Fate.UNKNOWN)
        for state in (status.state, status.last_state):
            ended = state.terminated if state else None
            if ended and ended.container_id == control.container_id:
                reason = "Evicted" if pod.status.reason == "Evicted" else ended.reason
                return ContainerFate(Fate.TERMINATED, reason, ended.exit_code)
        if status.state and status.state.running and status.container_id == control.container_id:
            return ContainerFate(Fate.RUNNING)
        if (status.restart_count or 0) > control.restart_count:
            return ContainerFate(Fate.TERMINATED)
        return ContainerFate(Fate.UNKNOWN)

    async def last_log(self, environment: str, selector: str, lines: int) -> str:
        """As `Pods.last_log`: of the newest pod that matches, ready or not."""
        pods = [pod for pod in await self._pods(environment, selector) if pod_selection.replica_set_of(pod)]
        if not pods:
            return ""
        pod = max(pods, key=lambda one: (str(one.metadata.creation_timestamp), str(one.metadata.name)))
        try:
            container = pod_selection.container_of(pod, None)
        except PermanentError:
            container = str(pod.spec.containers[0].name)
        name = str(pod.metadata.name)
        with translated(f"read the log of {environment}/{name}", f"get pods/log in {environment}"):
            try:
                log = await self._core.read_namespaced_pod_log(
                    name, environment, container=container, tail_lines=lines, _request_timeout=_SECONDS
                )
            except ApiException as error:
                if is_missing(error) or error.status == _BAD_REQUEST:  # gone, or not started yet
                    return ""
                raise
        return str(log)

    async def _deployments(self, environment: str) -> list[V1Deployment]:
        with translated(f"list deployments of {environment}", f"list deployments.apps in {environment}"):
            found = await self._apps.list_namespaced_deployment(environment, _request_timeout=_SECONDS)
        return list(found.items)

    async def _pods(self, environment: str, selector: str) -> list[V1Pod]:
        with translated(f"list pods of {environment}", f"list pods in {environment}"):
            found = await self._core.list_namespaced_pod(
                environment, label_selector=selector, _request_timeout=_SECONDS
            )
        return list(found.items)

    async def _replica_set(self, environment: str, name: str) -> V1ReplicaSet:
        with translated(f"read replica set {environment}/{name}", f"get replicasets.apps in {environment}"):
            try:
                return await self._apps.read_namespaced_replica_set(
                    name, environment, _request_timeout=_SECONDS
                )
            except ApiException as error:
                if is_missing(error):
                    raise TemporaryError(
                        Reason.POD_NOT_READY, f"{environment}: replica set {name} has just gone"
                    ) from error
                raise

    async def _nobody(
        self, environment: str, selector: str, *, some: bool
    ) -> TemporaryError | PermanentError:
        makers = pod_selection.makers(await self._deployments(environment), selector)
        if any(one.spec.replicas != 0 for one in makers):
            return TemporaryError(
                Reason.POD_NOT_READY,
                f"{environment}: no pod of {selector} is left or made yet"
                if not some
                else f"{environment}: all pods of {selector} are going away",
            )
        return PermanentError(
            Reason.POD_NOT_FOUND,
            f"{environment}: no pod matches {selector}"
            + (", its deployment is scaled to 0" if makers else "")
            + (" that a ReplicaSet made" if some and not makers else ""),
        )
