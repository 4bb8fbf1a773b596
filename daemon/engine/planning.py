"""Facts read from the world, and the plan that follows from them: for resets and for dry runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from daemon.engine.facts.reader import FactsReader
from daemon.ports.approvers import Approvers
from schemas.catalog.catalog import Catalog
from schemas.facts import Facts
from schemas.plan import Plan
from schemas.protection import ProtectedUse
from schemas.requests import Mode, ResetRequested
from schemas.resets import Channel
from schemas.wire import ResetId
from statemachines.consent import too_few
from statemachines.planning.planner import plan
from statemachines.planning.used import Used, used
from statemachines.planning.without_effect import fields_without_effect, refuse_without_effect
from statemachines.planning.words import to_remember
from statemachines.refusals import Refusal


class Planning:
    """Reads the facts and gives them to the pure planner.

    Args:
        without_effect: names of given settings that nothing acts on.
    """

    def __init__(
        self,
        facts: FactsReader,
        catalog: Catalog,
        catalog_id: str,
        without_effect: Sequence[str] = (),
        approvers: Approvers | None = None,
    ) -> None:
        """Without `approvers` no plan warns of too few of them."""
        self._approvers = approvers
        self._facts = facts
        self._catalog = catalog
        self._catalog_id = catalog_id
        self._without_effect = (*fields_without_effect(catalog), *without_effect)

    def refuse_new(self) -> Refusal | None:
        """Refuse a reset that begins, where the configuration says what nothing acts on; those in flight go on."""
        return refuse_without_effect(self._without_effect)

    async def plan(self, request: ResetRequested, channel: Channel) -> Plan | Refusal:
        """Plan a new reset for this request as things are now; nothing is touched.

        What protected environments are seen to use is remembered, as by every reading.

        Raises:
            PortError: the cluster itself or the state database can't be asked.
        """
        refusal = self.refuse_new()
        if refusal is not None:
            return refusal
        answer, protected = await self.with_protected(request, channel)
        await self._facts.remember(protected)
        return answer

    async def resources(self, environment: str) -> Used:
        """Read what an environment uses, as a plan of a wipe would touch it. Nothing is touched.

        Raises:
            PortError: the cluster itself or the state database can't be asked.
        """
        request = ResetRequested(environment=environment, requested_by="resetd", mode=Mode.WIPE)
        facts = await self._facts.read(request, None)
        await self._facts.remember(to_remember(facts))
        return used(request, self._catalog, facts)

    async def with_protected(
        self,
        request: ResetRequested,
        channel: Channel,
        requesters: Sequence[str] = (),
        seen_as: Callable[[Facts], Facts] = lambda facts: facts,
        holding: ResetId | None = None,
    ) -> tuple[Plan | Refusal, Sequence[ProtectedUse]]:
        """The same for people who joined the request, too, with what has to be remembered of protected environments.

        `seen_as` is how the reset that asks has to see the facts. `holding` is that reset, which may have scaled
        services to 0.
        """
        facts = seen_as(await self._facts.read(request, holding))
        answer = plan(request, channel, self._catalog, self._catalog_id, facts, requesters)
        if isinstance(answer, Plan) and self._approvers is not None and answer.approvals_required:
            first = (request.requested_by,) if channel is Channel.HTTP else ()
            able = self._approvers.of(answer.approvers_in)
            warning = too_few(able, answer, (*first, *requesters[1:]))
            if warning is not None:  # people read warnings, and the hash leaves them out
                answer = answer.model_copy(update={"warnings": (*answer.warnings, warning)})
        return answer, to_remember(facts)
