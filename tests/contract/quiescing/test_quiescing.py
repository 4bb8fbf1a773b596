"""The contract of quiescing: an object rests as long as one reset needs it, and gets back what it was."""

from __future__ import annotations

import pytest

from daemon.ports.errors import PermanentError
from schemas.quiescing import ObjectRef
from schemas.reasons import Reason
from schemas.wire import ResetId, ResourceKey
from tests.contract.quiescing.stands import DEPLOYMENT, ENVIRONMENT, Stand, until_nothing

FIRST = ResetId("01900000-0000-7000-8000-000000000001")
SECOND = ResetId("01900000-0000-7000-8000-000000000002")
DATABASE = ResourceKey("database/7001/app")


async def until_nothing_runs(stand: Stand) -> None:
    await until_nothing(lambda: stand.quiescing.running(DEPLOYMENT), within=60)


async def test_a_workload_rests_and_gets_back_what_it_asked_for(stand: Stand) -> None:
    await stand.scale(2)
    quiesced = await stand.quiescing.quiesce(DEPLOYMENT, FIRST, [DATABASE], status=1)
    assert (quiesced.resets, quiesced.uses, quiesced.held) == ((FIRST,), (DATABASE,), True)
    assert quiesced.original == "2 replicas"
    assert await stand.replicas() == 0
    await until_nothing_runs(stand)
    assert await stand.quiescing.release(DEPLOYMENT, FIRST, status=2) is None
    assert await stand.replicas() == 2
    assert await stand.quiescing.find(DEPLOYMENT) is None


async def test_what_it_was_is_remembered_once_however_often_it_is_quiesced(stand: Stand) -> None:
    first = await stand.quiescing.quiesce(DEPLOYMENT, FIRST, status=1)
    again = await stand.quiescing.quiesce(DEPLOYMENT, FIRST, status=1)
    assert again.resets == (FIRST,)
    assert again.version != first.version
    await stand.quiescing.release(DEPLOYMENT, FIRST, status=2)
    assert await stand.replicas() == 1


async def test_the_last_of_several_resets_undoes_it(stand: Stand) -> None:
    await stand.quiescing.quiesce(DEPLOYMENT, FIRST, status=1)
    both = await stand.quiescing.quiesce(DEPLOYMENT, SECOND, status=1)
    assert both.resets == (FIRST, SECOND)
    left = await stand.quiescing.release(DEPLOYMENT, FIRST, status=2)
    assert left is not None
    assert left.resets == (SECOND,)
    assert await stand.replicas() == 0
    assert await stand.quiescing.release(DEPLOYMENT, SECOND, status=2) is None
    assert await stand.replicas() == 1


async def test_a_release_that_is_repeated_changes_nothing(stand: Stand) -> None:
    await stand.quiescing.quiesce(DEPLOYMENT, FIRST, status=1)
    await stand.quiescing.release(DEPLOYMENT, FIRST, status=2)
    await stand.scale(0)
    assert await stand.quiescing.release(DEPLOYMENT, FIRST, status=2) is None
    assert await stand.replicas() == 0


async def test_what_somebody_scaled_up_meanwhile_is_seen_and_stays_as_they_left_it(stand: Stand) -> None:
    await stand.quiescing.quiesce(DEPLOYMENT, FIRST, status=1)
    await stand.scale(2)
    found = await stand.quiescing.find(DEPLOYMENT)
    assert found is not None
    assert not found.held
    await stand.quiescing.release(DEPLOYMENT, FIRST, status=2)
    assert await stand.replicas() == 2


async def test_quiesced_objects_are_listed_and_released_only_in_the_version_that_was_listed(
    stand: Stand,
) -> None:
    await stand.quiescing.quiesce(DEPLOYMENT, FIRST, status=1)
    (listed,) = await stand.quiescing.quiesced()
    assert (listed.object, listed.resets) == (DEPLOYMENT, (FIRST,))
    await stand.quiescing.quiesce(DEPLOYMENT, FIRST, status=1)  # the reset was resumed meanwhile
    assert not await stand.quiescing.release_listed(listed, [FIRST])
    assert await stand.replicas() == 0
    (listed,) = await stand.quiescing.quiesced()
    assert await stand.quiescing.release_listed(listed, [FIRST])
    assert await stand.replicas() == 1
    assert await stand.quiescing.quiesced() == ()


async def test_what_is_not_there_is_refused_and_has_nothing_to_release(stand: Stand) -> None:
    missing = ObjectRef(environment=ENVIRONMENT, kind="Deployment", name="nothing")
    with pytest.raises(PermanentError) as raised:
        await stand.quiescing.quiesce(missing, FIRST, status=1)
    assert raised.value.reason is Reason.QUIESCE_REFUSED
    assert (await stand.quiescing.obstacles(missing)).undone_by == (f"there is no {missing}",)
    assert await stand.quiescing.release(missing, FIRST, status=2) is None
    assert await stand.quiescing.running(missing) == ()


async def test_looking_for_obstacles_changes_nothing(stand: Stand) -> None:
    assert (await stand.quiescing.obstacles(DEPLOYMENT)).undone_by == ()
    assert await stand.replicas() == 1
    assert await stand.quiescing.find(DEPLOYMENT) is None


async def test_a_release_of_before_the_last_quiescing_leaves_the_object_at_rest(stand: Stand) -> None:
    await stand.quiescing.quiesce(DEPLOYMENT, FIRST, status=3)
    await stand.quiescing.quiesce(DEPLOYMENT, FIRST, status=9)
    await stand.quiescing.quiesce(DEPLOYMENT, FIRST, status=4)  # so late does a stale worker's call arrive
    left = await stand.quiescing.release(DEPLOYMENT, FIRST, status=8)
    assert left is not None
    assert left.resets == (FIRST,)
    assert left.held
    assert await stand.replicas() == 0
    assert await stand.quiescing.release(DEPLOYMENT, FIRST, status=10) is None
    assert await stand.replicas() == 1
