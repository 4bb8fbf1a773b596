"""Environments of the cluster: what runs in each, what waits, and what the doctor finds."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from daemon.api import reset_bodies
from daemon.api.authentication import Caller, require
from daemon.api.context import ApiContext, Context
from daemon.api.lock_bodies import lock_bodies
from daemon.api.problems import ProblemError
from daemon.api.routes.holds import hold_of
from daemon.ports.store.queries import LockRow
from schemas.api import DoctorReport, EnvironmentBody, Role
from schemas.reasons import Reason
from schemas.resets import Reset, ResetState
from schemas.wire import kind_of
from statemachines.lifecycle import AT_REST, WAITING, WORKING

router = APIRouter(tags=["environments"])
_RUNNING = (*WORKING, ResetState.PAUSED, ResetState.CANCELLING, ResetState.ROLLING_BACK)


@router.get("/environments")
async def list_environments(context: Context, caller: Caller) -> tuple[EnvironmentBody, ...]:
    """List the environments of the cluster that the token is for."""
    locks = await context.store.locks()
    names = [name for name in await context.pods.environments() if _is_environment(context, name)]
    return tuple([await _body(context, caller, name, locks) for name in names if caller.sees(name)])


@router.get("/environments/{name}")
async def read_environment(name: str, context: Context, caller: Caller) -> EnvironmentBody:
    """Read one environment."""
    await _checked(context, caller, name, Role.VIEWER)
    return await _body(context, caller, name, await context.store.locks())


@router.post("/environments/{name}/doctor")
async def examine(name: str, context: Context, caller: Caller) -> DoctorReport:
    """Examine pods, deployments, ArgoCD, migrations, connections and logs. Nothing is changed."""
    # The doctor runs commands in pods. They change nothing, but a viewer's role is not enough for them.
    await _checked(context, caller, name, Role.REQUESTER)
    return await context.doctor.examine(name)


def _is_environment(context: ApiContext, name: str) -> bool:
    return kind_of(name) in context.catalog.kinds and name != kind_of(name)


async def _checked(context: ApiContext, caller: Caller, name: str, role: Role) -> None:
    require(caller, role, name)
    if not _is_environment(context, name) or name not in await context.pods.environments():
        hint = "`resetd environments` lists those of the cluster."
        raise ProblemError(
            Reason.UNKNOWN_ENVIRONMENT, f"there is no environment {name}", status=404, hint=hint
        )


async def _body(context: ApiContext, caller: Caller, name: str, locks: Sequence[LockRow]) -> EnvironmentBody:
    async def some(states: Sequence[ResetState], limit: int) -> tuple[Reset, ...]:
        return await context.store.resets(environment=name, states=states, limit=limit)

    freezes = [each.freeze for each in await context.store.freezes() if each.remaining > 0]
    running, last = await some(_RUNNING, 1), await some(tuple(AT_REST), 1)
    waiting = await some(tuple(WAITING), 50)
    return EnvironmentBody(
        name=name,
        kind=kind_of(name),
        protected=context.catalog.kinds[kind_of(name)].protected,
        running=reset_bodies.summary(running[0]) if running else None,
        last=reset_bodies.summary(last[0]) if last else None,
        queue=tuple(reset_bodies.summary(reset) for reset in reversed(waiting)),
        hold=await hold_of(context, name),
        freezes=tuple(each for each in freezes if each.environment in {None, name}),
        locks=tuple(lock for lock in await lock_bodies(context, caller, locks) if lock.environment == name),
    )
