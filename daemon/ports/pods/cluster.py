"""The cluster: which services run where, which pod to use, and short questions asked in it.

The facts of a plan, handshakes, checks and the doctor are read through this part of the pods port.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from daemon.ports.errors import PermanentError
from schemas.wire import ResetId, ResourceKey


@dataclass(frozen=True)
class Pod:
    """A pod, and the one container of it that commands run in."""

    environment: str
    name: str
    uid: str
    container: str
    container_id: str
    image_digest: str
    restart_count: int
    maker: str = field(default="", compare=False)
    """What made it by a template: all pods of one maker are alike."""


@dataclass(frozen=True)
class Result:
    """The result of a short command that changes nothing. Its stream was whole and ended with a Status."""

    exit_code: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True)
class Addresses:
    """Addresses from which the pods of an environment may reach a database."""

    pods: frozenset[str]
    """The pods' own."""
    nodes: frozenset[str]
    """Those of the nodes that they run on: a cluster may hide pods behind their nodes."""


@dataclass(frozen=True)
class Template:
    """What a workload makes pods by: it has pods of it, or its next pods will be of it."""

    maker: str = ""
    """As the pods have it; empty where no pod was made by it."""
    variables: str = ""
    """Equal for templates whose containers get equal variables; empty where that can't be told."""


@dataclass(frozen=True)
class Workload:
    """What has pods in an environment, or would have them if it were not scaled to 0."""

    kind: str
    """`Deployment`, `StatefulSet`, `Rollout`, `ReplicaSet`; else the kind of the pods' owner, or `Pod`."""
    name: str
    labels: Mapping[str, str]
    """The labels of its pods, by its template; for pods that nothing listed owns, their own."""
    replicas: int
    """The pods that it asks for."""
    templated: bool = True
    """Whether it makes pods by a template; else it stands for one pod that is there."""
    templates: tuple[Template, ...] = ()
    """Those of the pods that it has, and of those that it would make next; none for what has ended, and for Jobs."""
    quiesced_by: tuple[ResetId, ...] = ()
    """The resets that have scaled it to 0."""
    used: tuple[ResourceKey, ...] = ()
    """The databases that its pods used when it was quiesced."""

    @property
    def rests(self) -> bool:
        """Whether resets have scaled it to 0, and it is so."""
        return bool(self.quiesced_by) and self.replicas == 0

    def matches(self, selector: str) -> bool:
        """Tell whether a selector, `LABEL=VALUE` or several with commas between them, matches its pods."""
        wanted = (term.partition("=")[::2] for term in selector.split(","))
        return all(self.labels.get(label) == value for label, value in wanted)


@dataclass(frozen=True)
class Workloads:
    """The workloads of an environment, as far as they could be listed."""

    found: tuple[Workload, ...]
    unread: tuple[PermanentError, ...] = ()
    """Why some kinds of workloads could not be listed: more may be there than was found."""

    def matching(self, selector: str) -> tuple[Workload, ...]:
        """Return the workloads whose pods a selector matches."""
        return tuple(workload for workload in self.found if workload.matches(selector))

    def named(self, name: str) -> tuple[Workload, ...]:
        """Return the workloads of that name, whatever the labels of their pods."""
        return tuple(workload for workload in self.found if workload.templated and workload.name == name)

    def unasked(self, selector: str, asked: Collection[str]) -> tuple[Workload, ...]:
        """Return the workloads of a selector that have, or will have, pods with variables that no asked pod has.

        Args:
            selector: As `matching` takes it.
            asked: The makers of the pods that were asked.
        """
        shown = {
            template.variables
            for workload in self.found
            for template in workload.templates
            if template.maker in asked and template.variables
        }
        return tuple(
            workload
            for workload in self.matching(selector)
            if any(
                template.maker not in asked and template.variables not in shown
                for template in workload.templates
            )
        )

    def replicas(self, selector: str) -> int:
        """Return how many pods are asked for; where nothing with a template matches, how many pods there are."""
        matching = self.matching(selector)
        return sum(each.replicas for each in [one for one in matching if one.templated] or matching)


class Cluster(Protocol):
    """Reads a cluster, and changes nothing in it. Every method raises TemporaryError or PermanentError."""

    async def environments(self) -> tuple[str, ...]:
        """Return the names of all namespaces that are not being deleted, sorted."""
        ...

    async def workloads(self, environment: str) -> Workloads:
        """Return what has or would have pods in an environment, and may use the services' databases.

        - All Deployments, StatefulSets and Argo Rollouts, and the ReplicaSets and pods that none of them owns.
        - One that is scaled to 0 is among them.
        - What the account may not list is told; all else is listed.

        Raises:
            TemporaryError: something can't be listed now.
        """
        ...

    async def addresses(self, environment: str) -> Addresses:
        """Return the addresses of all pods of an environment that have one."""
        ...

    async def choose(self, environment: str, selector: str, container: str | None) -> Pod:
        """Return the pod of a service to use: the oldest ready one of the newest ReplicaSet, or of the StatefulSet.

        - It is owned by a ReplicaSet or StatefulSet, Running and Ready, and not being deleted.
        - Its container is the configured one, else the annotated default, else the only one.

        Raises:
            TemporaryError: `pod-not-ready`: a rollout is under way, nothing is ready yet.
            PermanentError: `pod-not-found`: nothing matches, or the container is ambiguous.
        """
        ...

    async def choose_each(self, environment: str, selector: str, container: str | None) -> tuple[Pod, ...]:
        """Return the pods that together show what a service uses; the first is the one of `choose`.

        - The others are one ready pod of each older generation, and of each other workload of the selector.
        - Those have the configured container, or where it is not there the annotated default or the only one.

        Raises:
            TemporaryError, PermanentError: as `choose`; also where another workload's container is ambiguous.
        """
        ...

    async def ready_each(self, environment: str, selector: str, container: str | None) -> tuple[Pod, ...]:
        """Return a ready pod of each generation and workload of a selector, also where `choose` finds none.

        One whose container is ambiguous is left out.
        """
        ...

    async def read(
        self, pod: Pod, argv: Sequence[str], *, timeout: float, stdin: bytes | None = None
    ) -> Result:
        """Run a short command that changes nothing, attached, for at most `timeout` seconds.

        Raises:
            TemporaryError: the stream ended without a Status, so that nothing is known of the command's end.
        """
        ...

    async def variables(self, pod: Pod, names: Sequence[str]) -> Mapping[str, str]:
        """Return the values of environment variables as the container's processes see them, without absent ones."""
        ...

    async def last_log(
        self, environment: str, selector: str, lines: int, container: str | None = None
    ) -> str:
        """Return the last lines of the service's own log; empty where there is none.

        Its container is the configured one, else the annotated default, else the one with the service's name, else the
        only one.

        Raises:
            PermanentError: `pod-not-found`: the container is ambiguous.
        """
        ...
