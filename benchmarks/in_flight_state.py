"""Resets that are at work, as a daemon leaves them when it dies: rows by the engine's own commits, commands in pods.

Made without a daemon, since a thousand ways through planning are not what is measured. The commands are launched by
the adapter's own scripts, many by one exec.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

from benchmarks.in_flight_stand import ENVIRONMENTS, PODS_EACH, RUNS, SERVICES_EACH, service
from daemon.adapters.kubernetes.exec import scripts
from daemon.adapters.kubernetes.pods import KubernetesPods
from daemon.adapters.store import SqlStore, migrations, open_store
from daemon.adapters.system.clock import SystemClock
from daemon.adapters.system.identifiers import new_reset_id
from daemon.config.catalog_file import LoadedCatalog, load_catalog
from daemon.engine.leased_reset import LeaseDeadline, LeasedReset
from daemon.metrics import Metrics
from daemon.ports.pods.cluster import Pod
from daemon.ports.store.leases import Claimed
from schemas.facts import DatabaseFact, Facts, ServiceFact
from schemas.intake import Batch, NewRequest
from schemas.plan import Plan
from schemas.requests import Mode, ResetRequested
from schemas.resets import Attempt, Channel, Control, Step
from schemas.wire import AttemptId, ResourceKey, ServiceName
from statemachines.intake.content_hash import content_hash
from statemachines.lifecycle import Trigger
from statemachines.planning.planner import plan
from statemachines.reset_update import ResetUpdate
from statemachines.steps.session_names import session_name

_AT_ONCE = 50
# Each command leads a session of its own, as an exec of its own would make it.
_LAUNCH = """
launch_one() {
    { read -r directory; read -r incarnation; } <<END
$(sh -c "$prepare" resetd "$1")
END
    RESETD_ATTEMPT=$2 setsid sh -c "$launch" resetd "$directory" "$incarnation" "$3" 0 sh -c "$runs"
    printf '%s\n%s\n' "$directory" "$incarnation"
}
"""


@dataclass(frozen=True)
class _Underway:
    leased: LeasedReset
    attempt: AttemptId


async def put_in_flight(state: Path, catalog: Path, pods: KubernetesPods, chosen: Sequence[Pod]) -> None:
    """Fill a new state file, and let every command run. `chosen`: the pods, by environment, `PODS_EACH` of each."""
    loaded = load_catalog(catalog)
    state.parent.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{state}"
    await asyncio.to_thread(migrations.upgrade, url)
    async with open_store(url) as store:
        await _admit_all(store)
        due = await store.claim("in-flight", ttl=3600, limit=10_000, excluding=frozenset())
        by_pod: dict[str, list[_Underway]] = {pod.uid: [] for pod in chosen}
        places = [_pod_of(one, chosen) for one in due]
        # Those that save at the same time share a commit.
        begun = await asyncio.gather(
            *(_at_work(one, store, loaded, pod) for one, pod in zip(due, places, strict=True))
        )
        for one, pod in zip(begun, places, strict=True):
            by_pod[pod.uid].append(one)
        await asyncio.gather(
            *(
                _launch(pods, pod, by_pod[pod.uid][start : start + _AT_ONCE])
                for pod in chosen
                for start in range(0, len(by_pod[pod.uid]), _AT_ONCE)
            )
        )


async def _admit_all(store: SqlStore) -> None:
    for partition, environment in enumerate(ENVIRONMENTS):
        entries = tuple(_new(environment, service(number)) for number in range(SERVICES_EACH))
        batch = Batch("by-hand", partition, 0, len(entries), entries)
        await store.take_in(batch, now=datetime.now(UTC), limit_waiting=SERVICES_EACH)


def _new(environment: str, name: str) -> NewRequest:
    request = ResetRequested(
        environment=environment, requested_by="in-flight", mode=Mode.SEED, services=(name,), git=False
    )
    return NewRequest(
        id=new_reset_id(),
        request=request,
        channel=Channel.KAFKA,
        source="/in-flight",
        event_id=f"{environment}/{name}",
        content_hash=content_hash(request),
    )


def _pod_of(claimed: Claimed, chosen: Sequence[Pod]) -> Pod:
    request = claimed.reset.request
    assert request.services is not None
    number = int(request.services[0].rpartition("-")[2]) % PODS_EACH
    return chosen[ENVIRONMENTS.index(request.environment) * PODS_EACH + number]


async def _at_work(claimed: Claimed, store: SqlStore, loaded: LoadedCatalog, pod: Pod) -> _Underway:
    """Bring it to `seeding`; its attempt is recorded once its control directory is known."""
    deadline = LeaseDeadline(3600, asked_at=asyncio.get_running_loop().time())
    leased = LeasedReset(claimed, deadline, store, SystemClock(), Metrics())
    made = _plan(claimed.reset.request, loaded, pod)
    steps = [Step(name=one.name, index=index) for index, one in enumerate(made.steps)]
    await leased.commit(ResetUpdate(plan_hash=made.hash), trigger=Trigger.PLANNED, plan=made, steps=steps)
    await leased.commit(trigger=Trigger.LOCKED)
    for _ in range(3):
        await leased.commit(trigger=Trigger.NEXT)
    return _Underway(leased, leased.attempt_id(made.steps[0].name))


def _plan(request: ResetRequested, loaded: LoadedCatalog, pod: Pod) -> Plan:
    assert request.services is not None
    name = ServiceName(request.services[0])
    key = ResourceKey("database/7001/flight")
    facts = Facts(
        environment=request.environment,
        exists=True,
        services=(ServiceFact(service=name, image_digest=pod.image_digest, pod=pod.name, consumers=1),),
        databases=(
            DatabaseFact(
                service=name,
                database="flight",
                key=key,
                name="flight",
                tables=0,
                size_bytes=0,
                server_version=160000,
            ),
        ),
        users={key: (request.environment,)},
    )
    made = plan(request, Channel.HTTP, loaded.catalog, loaded.id, facts)
    assert isinstance(made, Plan), made
    return made


async def _launch(pods: KubernetesPods, pod: Pod, underway: Sequence[_Underway]) -> None:
    texts = {"prepare": scripts.text("prepare"), "launch": scripts.text("launch"), "runs": RUNS}
    lines = [f"{name}={quote(text)}" for name, text in texts.items()]
    lines += [_LAUNCH]
    lines += [
        f"launch_one {quote('resetd.' + one.attempt.replace('/', '.'))} {quote(one.attempt)} "
        + session_name(one.attempt)
        for one in underway
    ]
    # As input, since an exec's arguments travel in an address of bounded length.
    result = await pods.read(pod, ["sh"], timeout=300, stdin="\n".join([*lines, ""]).encode())
    assert result.exit_code == 0, result
    told = result.stdout.decode().splitlines()
    await asyncio.gather(
        *(
            _record(one, pod, directory, incarnation)
            for one, directory, incarnation in zip(underway, told[::2], told[1::2], strict=True)
        )
    )


async def _record(one: _Underway, pod: Pod, directory: str, incarnation: str) -> None:
    leased = one.leased
    control = Control(
        environment=pod.environment,
        pod=pod.name,
        pod_uid=pod.uid,
        container=pod.container,
        container_id=pod.container_id,
        restart_count=pod.restart_count,
        incarnation=incarnation,
        directory=directory,
    )
    step = next(iter(leased.steps.values()))
    attempt = Attempt(
        id=one.attempt,
        reset_id=leased.reset.id,
        step=step.name,
        number=1,
        started_at=datetime.now(UTC),
        control=control,
    )
    await leased.started(attempt)
    await leased.commit(release_lease=True)
