"""Steps that put a repository's branch back to its root commit."""

from __future__ import annotations

from daemon.engine.leased_reset import LeasedReset
from daemon.engine.steps.attempt_recorder import AttemptRecorder
from daemon.engine.steps.step_runner import AttemptResult
from daemon.ports.errors import PermanentError
from daemon.ports.repositories import Branch, Repositories
from schemas.plan import PlannedStep
from schemas.reasons import Reason
from schemas.resets import Attempt, Outcome, OutcomeKind


class RepositoryStep:
    """Rewinds the branch by compare-and-swap, behind a backup branch at its former head."""

    def __init__(self, repositories: Repositories, leased: LeasedReset, recorder: AttemptRecorder) -> None:
        self._repositories = repositories
        self._leased = leased
        self._recorder = recorder

    async def run(self, step: PlannedStep, taken_up: Attempt | None) -> AttemptResult:
        """Rewind. Repeating it after a lost answer is harmless: the head is compared with what was read."""
        _, owner, name, branch = step.touches[0].split("/", 3)
        found = await self._repositories.read(name, branch)
        if (found.owner, found.repository) != (owner, name):
            raise PermanentError(
                Reason.REPOSITORY_MISMATCH,
                f"{owner}/{name} is {found.owner}/{found.repository} by now",
                hint="`resetd resume ID --replan` plans with the one that has the name now.",
            )
        if step.repository_id and found.identity != step.repository_id:
            raise PermanentError(
                Reason.REPOSITORY_MISMATCH,
                f"{name} is another repository than the plan was made with",
                hint="`resetd resume ID --replan` plans with the one that has the name now.",
            )
        _check_roots(found, step)
        attempt = taken_up or await self._recorder.start(step)
        rewound = await self._repositories.rewind(
            found,
            to=step.repository_root or found.root,
            backup_branch=f"backup/{self._leased.reset.id}",
            still_ours=self._leased.deadline.check,
        )
        outcome = Outcome(
            kind=OutcomeKind.SUCCEEDED,
            facts={
                "before": rewound.before,
                "after": rewound.after,
                "backupBranch": rewound.backup_branch,
                "already": rewound.already,
            },
        )
        return AttemptResult(attempt, outcome)


def _check_roots(found: Branch, step: PlannedStep) -> None:
    """Show that the branch has the root that people agreed to, and none that they did not.

    A plan from before roots were agreed to names none: then there must be one, and no doubt.

    Raises:
        PermanentError: `repository-root-changed`.
    """
    roots = {root.sha for root in found.roots}
    agreed = set(step.repository_roots)
    if step.repository_root is None and len(roots) == 1:
        return
    if step.repository_root in roots and roots <= agreed:
        return
    raise PermanentError(
        Reason.REPOSITORY_ROOT_CHANGED,
        f"{found.repository}: {found.branch} descends from {', '.join(sorted(roots))}; the plan was made for "
        f"{', '.join(sorted(agreed)) or 'a branch with one root'}",
        hint="Somebody changed its history. Look at it, then `resetd resume ID --replan` plans with what is there now.",
    )
