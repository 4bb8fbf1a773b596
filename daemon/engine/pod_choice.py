"""Which pod a step runs in: the service's own or the reset's holder, and whether it is the one that was agreed to.

Some steps have an effect that lives in a container. This module also says whether that effect is in the container that
a later step runs in.
"""

from __future__ import annotations

from daemon.engine.leased_reset import LeasedReset
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from daemon.ports.pods.cluster import Pod
from daemon.ports.pods.holders import Need
from daemon.ports.pods.pods import Pods
from schemas.catalog.catalog import Catalog, Service
from schemas.plan import PlannedStep, RunIn
from schemas.reasons import Reason
from schemas.resets import Control
from schemas.wire import ServiceName
from statemachines.steps.container_scope import needed_before, succeeded_elsewhere


class PodChoice:
    """One for each drive of a reset."""

    def __init__(self, pods: Pods, catalog: Catalog, leased: LeasedReset) -> None:
        self._pods = pods
        self._catalog = catalog
        self._leased = leased

    @property
    def services(self) -> tuple[Service, ...]:
        """All services of the present catalog."""
        return self._catalog.services

    def service(self, step: PlannedStep) -> Service:
        """The step's service in the present catalog.

        Raises:
            PermanentError: `unknown-service`: the catalog has changed and lacks that service.
        """
        for service in self._catalog.services:
            if service.name == step.service:
                return service
        raise PermanentError(Reason.UNKNOWN_SERVICE, f"{step.name}: the catalog has no {step.service}")

    async def choose(self, step: PlannedStep) -> Pod:
        """The pod that the step runs in.

        Raises:
            PermanentError: `plan-changed`: the pod runs another image than the plan was made for.
            PortError: there is no such pod.
        """
        service = self.service(step)
        pod = await self.find(step)
        agreed = self._leased.plan.images.get(ServiceName(service.name)) if self._leased.plan else None
        if agreed is not None and agreed != pod.image_digest:
            raise PermanentError(
                Reason.PLAN_CHANGED,
                f"{service.name} runs another image than the plan was made for ({step.name})",
                hint="`resetd resume ID --replan` makes a new plan for what is left.",
            )
        return pod

    async def find(self, step: PlannedStep) -> Pod:
        """The pod that the step runs in, whichever image it has: for what reads, and changes nothing.

        Raises:
            PortError: there is no such pod.
        """
        service = self.service(step)
        where = (self._leased.reset.environment, service.selector_text, service.container)
        if step.run_in is RunIn.HOLDER:
            need = Need(service.name, self._leased.attempt_id(step.name), step.timeout)
            return await self._pods.hold(*where, need)
        return await self._pods.choose(*where)

    async def lacks_effect(self, former: PlannedStep, step: PlannedStep) -> bool:
        """Whether the effect of a former step is missing in the container that this step would run in."""
        try:
            pod = await self.choose(step)
        except PortError:
            return False  # the attempt at this step meets the same error, and records it
        return succeeded_elsewhere(self._leased.steps[former.name], container_name(pod))

    def check_effects(self, step: PlannedStep, pod: Pod) -> None:
        """Refuse a pod that lacks the effect of a former step.

        Raises:
            TemporaryError: `pod-not-ready`: the pod was replaced just now; the former step is run again there first.
        """
        for former in needed_before(self._leased.plan, step):
            if succeeded_elsewhere(self._leased.steps[former.name], container_name(pod)):
                raise TemporaryError(
                    Reason.POD_NOT_READY, f"{pod.name} was replaced; {former.name} has to run there first"
                )


def container_name(where: Pod | Control) -> str:
    """Pod UID and container id in one word. A kubelet gives each container that it starts an id of its own."""
    uid = where.uid if isinstance(where, Pod) else where.pod_uid
    return f"{uid}/{where.container_id}"
