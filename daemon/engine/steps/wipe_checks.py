"""What a wipe would do beside what was agreed to, looked at once more right before its launch."""

from __future__ import annotations

from daemon.engine.facts.image_seeds import Loads, Seen, configured_seed
from daemon.engine.facts.reader import FactsReader
from daemon.engine.pod_choice import PodChoice
from daemon.ports.errors import PermanentError
from daemon.ports.pods.cluster import Cluster, Pod
from schemas.plan import ConfiguredSeed, PlannedStep
from schemas.reasons import Reason
from statemachines.planning.wipes import LOSS_HINT, SEED_HINT, is_reset, loss_text, seed_text
from statemachines.steps.tool_seeds import Answer


class WipeChecks:
    """One for each drive of a reset.

    What was read for the plan is read again here, the tool's loader included: a configuration takes parts from other
    files of the container, and those may have changed since.
    """

    def __init__(self, facts: FactsReader, cluster: Cluster, pod_choice: PodChoice) -> None:
        self._facts = facts
        self._cluster = cluster
        self._pod_choice = pod_choice
        self._seen: Seen = {}
        self._loads: Loads = {}

    async def check(self, step: PlannedStep, pod: Pod) -> None:
        """Show that the step seeds nothing unasked, and that nothing goes with its databases but what the plan names.

        Raises:
            PermanentError: `configured-seed`, `lost-by-wipe`.
            PortError: it could not be asked.
        """
        if step.configured_seed is not None:
            declared = step.configured_seed is ConfiguredSeed.REFUSE
            # Of other commands it matters less: what the image showed once is enough while it runs.
            fresh = declared or is_reset(step.argv)
            found = await configured_seed(
                self._cluster,
                pod,
                step.argv,
                declared=declared,
                seen=None if fresh else self._seen,
                loads=self._loads,
            )
            if found.answer is not Answer.NONE:
                raise PermanentError(
                    Reason.CONFIGURED_SEED, seed_text(step.name, found.detail), hint=SEED_HINT
                )
        for wiped in step.wipes:
            losses = await self._facts.lost_by_wipe(pod, self._pod_choice.service(step), wiped.database)
            new = [loss.name for loss in losses if loss.for_good and loss not in wiped.losses]
            if new:
                raise PermanentError(Reason.LOST_BY_WIPE, loss_text(wiped.database, new), hint=LOSS_HINT)
