"""Reading the cluster: namespaces, workloads, pods, logs, and short questions asked in a pod.

Each call has a time limit of ours: the client sets none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubernetes_asyncio.client import ApiException, AppsV1Api, CoreV1Api, V1Pod

from daemon.adapters.kubernetes import pod_selection
from daemon.adapters.kubernetes.client import PAGE_SIZE, REQUEST_TIMEOUT_SECONDS, Kubernetes
from daemon.adapters.kubernetes.container_variables import ContainerVariables
from daemon.adapters.kubernetes.errors import is_missing, translated
from daemon.adapters.kubernetes.exec.short_exec import execute
from daemon.adapters.kubernetes.exec.websocket_stream import ContainerRef
from daemon.adapters.kubernetes.workloads.lists import WorkloadLists
from daemon.ports.errors import PermanentError, TemporaryError
from daemon.ports.pods.cluster import Addresses, Pod, Result, Workloads
from schemas.reasons import Reason

_BAD_REQUEST = 400


class KubernetesCluster:
    """Implements `daemon.ports.pods.cluster.Cluster` by the API server's REST interface and short execs."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self._kubernetes = kubernetes
        self._variables = ContainerVariables(kubernetes)
        self._core = CoreV1Api(kubernetes.rest)
        self._apps = AppsV1Api(kubernetes.rest)
        self._workloads = WorkloadLists(kubernetes.rest)

    async def environments(self) -> tuple[str, ...]:
        """See the port."""
        names: list[str] = []
        token = ""
        while True:
            with translated("list namespaces", "list namespaces"):
                page = await self._core.list_namespace(
                    limit=PAGE_SIZE, _continue=token, _request_timeout=REQUEST_TIMEOUT_SECONDS
                )
            names += [
                str(namespace.metadata.name)
                for namespace in page.items
                if not namespace.metadata.deletion_timestamp
            ]
            token = page.metadata._continue or ""  # noqa: SLF001 - the client's name for `continue`
            if not token:
                return tuple(sorted(names))

    async def workloads(self, environment: str) -> Workloads:
        """See the port."""
        return await self._workloads.read(environment)

    async def addresses(self, environment: str) -> Addresses:
        """See the port."""
        pods = [pod.status for pod in await self._pods(environment, "") if pod.status]
        own = {str(each.ip) for status in pods for each in status.pod_ips or ()}
        own |= {str(status.pod_ip) for status in pods if status.pod_ip}
        return Addresses(frozenset(own), frozenset(str(status.host_ip) for status in pods if status.host_ip))

    async def choose(self, environment: str, selector: str, container: str | None) -> Pod:
        """See the port."""
        return await self._choose(await self._pods(environment, selector), environment, selector, container)

    async def choose_each(self, environment: str, selector: str, container: str | None) -> tuple[Pod, ...]:
        """See the port."""
        listed = await self._pods(environment, selector)
        chosen = await self._choose(listed, environment, selector, container)
        return chosen, *pod_selection.others(listed, chosen, container)

    async def ready_each(self, environment: str, selector: str, container: str | None) -> tuple[Pod, ...]:
        """See the port."""
        listed = await self._pods(environment, selector)
        return tuple(pod_selection.ready_each(listed, environment, container))

    async def _choose(
        self, listed: Sequence[V1Pod], environment: str, selector: str, container: str | None
    ) -> Pod:
        candidates = pod_selection.candidates(listed, selector)
        if not candidates:
            raise await self._no_candidate(environment, selector, any_listed=bool(listed))
        generations = sorted({pod_selection.generation_of(pod) for pod in candidates})
        if len(generations) > 1:
            generations = await self._newest_first(environment, selector, candidates, generations)
        return pod_selection.choose(candidates, generations, container, environment, selector)

    async def read(
        self, pod: Pod, argv: Sequence[str], *, timeout: float, stdin: bytes | None = None
    ) -> Result:
        """See the port."""
        if stdin is not None:
            # A v4 stream's input can't be ended, so the command is given as many bytes as there are.
            argv = ["sh", "-c", 'rd_n=$1; shift; head -c "$rd_n" | "$@"', "resetd", str(len(stdin)), *argv]
        return await execute(self._kubernetes, ContainerRef.of_pod(pod), argv, timeout, stdin)

    async def variables(self, pod: Pod, names: Sequence[str]) -> Mapping[str, str]:
        """See the port. The environment of an exec is that of every command of ours."""
        container = ContainerRef.of_pod(pod)
        variables = await self._variables.read(container, pod.uid, pod.container_id)
        return {name: variables[name] for name in names if name in variables}

    async def last_log(
        self, environment: str, selector: str, lines: int, container: str | None = None
    ) -> str:
        """See the port. It is the log of the newest pod that matches, ready or not."""
        pods = [pod for pod in await self._pods(environment, selector) if pod_selection.generation_of(pod)]
        if not pods:
            return ""
        newest = max(pods, key=lambda pod: (str(pod.metadata.creation_timestamp), str(pod.metadata.name)))
        container = pod_selection.container_name(newest, container, service=selector.rpartition("=")[2])
        name = str(newest.metadata.name)
        with translated(f"read the log of {environment}/{name}", f"get pods/log in {environment}"):
            try:
                log = await self._core.read_namespaced_pod_log(
                    name,
                    environment,
                    container=container,
                    tail_lines=lines,
                    _request_timeout=REQUEST_TIMEOUT_SECONDS,
                )
            except ApiException as error:
                if is_missing(error) or error.status == _BAD_REQUEST:  # gone, or not started yet
                    return ""
                raise
        return str(log)

    async def _pods(self, environment: str, selector: str) -> list[V1Pod]:
        with translated(f"list pods of {environment}", f"list pods in {environment}"):
            listed = await self._core.list_namespaced_pod(
                environment, label_selector=selector, _request_timeout=REQUEST_TIMEOUT_SECONDS
            )
        return list(listed.items)

    async def _newest_first(
        self, environment: str, selector: str, pods: Sequence[V1Pod], generations: Sequence[str]
    ) -> list[str]:
        """Rank the generations of pods. Which of a StatefulSet's is newer, nothing tells: its rollout has to end."""
        if any(pod_selection.stateful_set_of(pod) for pod in pods):
            raise TemporaryError(
                Reason.POD_NOT_READY,
                f"{environment}: {selector} has pods of {len(generations)} generations",
                hint="The rollout of the StatefulSet has to end.",
            )
        with translated(f"list replica sets of {environment}", f"list replicasets.apps in {environment}"):
            listed = await self._apps.list_namespaced_replica_set(
                environment, _request_timeout=REQUEST_TIMEOUT_SECONDS
            )
        ours = [each for each in listed.items if each.metadata.name in generations]
        if len(ours) < len(generations):
            raise TemporaryError(
                Reason.POD_NOT_READY, f"{environment}: a replica set of {selector} has just gone"
            )
        return pod_selection.newest_first(ours)

    async def _no_candidate(
        self, environment: str, selector: str, *, any_listed: bool
    ) -> TemporaryError | PermanentError:
        """Make the error for a service without a pod to choose from; `any_listed`: whether it has pods at all."""
        workloads = await self.workloads(environment)
        makers = [each for each in workloads.matching(selector) if each.templated]
        if any(each.replicas for each in makers):
            return TemporaryError(
                Reason.POD_NOT_READY,
                f"{environment}: all pods of {selector} are going away"
                if any_listed
                else f"{environment}: no pod of {selector} is left or made yet",
            )
        kinds = ", ".join(sorted({f"{each.kind} {each.name}" for each in makers}))
        return PermanentError(
            Reason.POD_NOT_FOUND,
            f"{environment}: no pod matches {selector}"
            + (f", {kinds} is scaled to 0" if makers else "")
            + (" that a ReplicaSet or StatefulSet made" if any_listed and not makers else ""),
        )


async def read_pod(core: CoreV1Api, environment: str, name: str) -> V1Pod | None:
    """Read the pod of that name as it is now, whatever its uid; None where there is none."""
    with translated(f"read pod {environment}/{name}", f"get pods in {environment}"):
        try:
            return await core.read_namespaced_pod(name, environment, _request_timeout=REQUEST_TIMEOUT_SECONDS)
        except ApiException as error:
            if is_missing(error):
                return None
            raise
