"""What every pods port has to do.

Over 300 lines: one contract, played on each stand.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from daemon.ports.errors import PermanentError
from daemon.ports.pods.commands import Fate, Observation, Tombstone
from schemas.reasons import Reason
from schemas.resets import Control
from schemas.wire import AttemptId
from tests.contract.pods.stands import Stand

if TYPE_CHECKING:
    from collections.abc import Callable


NOTHING = "app.kubernetes.io/name=nothing"


def attempt_of(stand: Stand, number: int = 1) -> AttemptId:
    return AttemptId(f"{stand.token}/seed.app.system/{number}")


async def prepared(stand: Stand, number: int = 1) -> Control:
    return await stand.pods.prepare(await stand.pod(), attempt_of(stand, number))


async def launched(stand: Stand, argv: list[str], stdin: bytes | None = None) -> Control:
    control = await prepared(stand)
    await stand.pods.launch(control, attempt_of(stand), argv, stdin=stdin)
    return control


async def seen(
    stand: Stand,
    control: Control,
    until: Callable[[Observation, bytes], object] = lambda *_: False,
    offset: int = 0,
) -> tuple[Observation, bytes]:
    """Follow to the end, or until an observation is as wanted; return the last one, and all output until then."""
    last, output = None, b""
    stream = stand.pods.follow(control, offset=offset)
    async with asyncio.timeout(30), aclosing(stream) as observations:
        async for last in observations:
            assert last.offset == offset + len(output)
            output += last.log
            if until(last, output):
                break
    assert last is not None
    return last, output


async def test_the_environment_its_service_and_its_pod_are_found(stand: Stand) -> None:
    assert stand.environment in await stand.pods.environments()
    workloads = await stand.pods.workloads(stand.environment)
    assert [(each.kind, each.replicas) for each in workloads.matching(stand.selector)] == [("Deployment", 1)]
    assert not workloads.matching(NOTHING)
    assert not workloads.unread
    pod = await stand.pod()
    assert pod.environment == stand.environment
    assert "sha256:" in pod.image_digest
    assert pod.uid
    assert pod.container_id
    assert pod == await stand.pod()
    assert await stand.pods.choose_each(stand.environment, stand.selector, None) == (pod,)
    assert await stand.pods.ready_each(stand.environment, stand.selector, None) == (pod,)
    assert pod.maker
    assert not workloads.unasked(stand.selector, {pod.maker})
    assert workloads.unasked(stand.selector, ()) == workloads.matching(stand.selector)


async def test_the_addresses_of_its_pods_and_of_their_nodes_are_found(stand: Stand) -> None:
    await stand.pod()
    found = await stand.pods.addresses(stand.environment)
    assert found.pods
    assert found.nodes
    nowhere = await stand.pods.addresses("nowhere-sandbox")
    assert not nowhere.pods


async def test_a_selector_that_matches_nothing_is_permanent(stand: Stand) -> None:
    with pytest.raises(PermanentError) as raised:
        await stand.pods.choose(stand.environment, NOTHING, None)
    assert raised.value.reason is Reason.POD_NOT_FOUND


async def test_a_service_that_is_scaled_to_0_is_there_and_has_no_pod(stand: Stand) -> None:
    selector = await stand.scaled_to_0()
    (idle,) = (await stand.pods.workloads(stand.environment)).matching(selector)
    assert (idle.replicas, idle.templated) == (0, True)
    with pytest.raises(PermanentError) as raised:
        await stand.pods.choose(stand.environment, selector, None)
    assert raised.value.reason is Reason.POD_NOT_FOUND


async def test_a_pod_that_no_deployment_made_is_there_and_never_chosen(stand: Stand) -> None:
    selector = await stand.stray()
    workloads = await stand.pods.workloads(stand.environment)
    assert workloads.replicas(selector) == 1
    (stray,) = workloads.matching(selector)
    assert not stray.templated
    with pytest.raises(PermanentError) as raised:
        await stand.pods.choose(stand.environment, selector, None)
    assert raised.value.reason is Reason.POD_NOT_FOUND


async def test_a_container_that_the_pod_has_not_is_permanent(stand: Stand) -> None:
    await stand.pod()
    with pytest.raises(PermanentError) as raised:
        await stand.pods.choose(stand.environment, stand.selector, "nothing")
    assert raised.value.reason is Reason.POD_NOT_FOUND


async def test_variables_are_the_containers_and_absent_ones_are_left_out(stand: Stand) -> None:
    name, value = stand.variable
    assert await stand.pods.variables(await stand.pod(), [name, "NOT_THERE"]) == {name: value}


async def test_a_short_command_is_read_with_its_exit_code(stand: Stand) -> None:
    result = await stand.pods.read(await stand.pod(), stand.prints(b"two\nlines\n", 3), timeout=10)
    assert (result.exit_code, result.stdout) == (3, b"two\nlines\n")


async def test_a_short_command_gets_its_input(stand: Stand) -> None:
    sql = b"SELECT 1;\n" * 500
    result = await stand.pods.read(await stand.pod(), stand.echoes(), timeout=10, stdin=sql)
    assert result.stdout == b"\n" + sql


async def test_a_launched_command_has_marker_input_output_and_exit_code(stand: Stand) -> None:
    control = await launched(stand, stand.echoes(), stdin=b"a\0b\n")
    last, output = await seen(stand, control)
    assert (last.started, last.given_up, last.exit_code) == (True, False, 0)
    assert output == attempt_of(stand).encode() + b"\na\0b\n"


async def test_an_exit_code_other_than_0_is_told(stand: Stand) -> None:
    last, output = await seen(stand, await launched(stand, stand.prints(b"oh no", 7)))
    assert (last.exit_code, output) == (7, b"oh no")


async def test_output_that_looks_like_the_protocols_own_is_only_output(stand: Stand) -> None:
    data = b"\nlook - 0 1 0 9\n\0\xffmore 0 5\n\n"
    _, output = await seen(stand, await launched(stand, stand.prints(data, 0)))
    assert output == data


async def test_output_of_many_looks_is_whole_before_the_end_is_told(stand: Stand) -> None:
    control = await launched(stand, stand.floods(300_000))
    await seen(stand, control)
    last, output = await seen(stand, control)
    assert last.exit_code == 0
    assert output == b"\xff" * 300_000


async def test_a_command_that_was_not_launched_is_not_claimed(stand: Stand) -> None:
    control = await prepared(stand)
    first, output = await seen(stand, control, until=lambda *_: True)
    assert (first.started, first.given_up, first.exit_code, output) == (False, False, None, b"")


async def test_preparing_again_answers_the_same_control_directory(stand: Stand) -> None:
    assert await prepared(stand) == await prepared(stand)
    assert (await prepared(stand, 2)).directory != (await prepared(stand)).directory


async def test_a_second_launch_starts_nothing(stand: Stand) -> None:
    control = await launched(stand, stand.waits())
    await stand.pods.launch(control, attempt_of(stand), stand.waits())
    await stand.release()
    _, output = await seen(stand, control)
    await stand.pods.launch(control, attempt_of(stand), stand.waits())
    assert output == b"waiting\ndone\n"
    assert await stand.runs() == 1


async def test_what_was_given_up_never_starts(stand: Stand) -> None:
    control = await prepared(stand)
    assert await stand.pods.give_up(control) is Tombstone.PLACED
    await stand.pods.launch(control, attempt_of(stand), stand.prints(b"ran", 0))
    last, output = await seen(stand, control)
    assert (last.given_up, last.started, output) == (True, False, b"")
    assert await stand.pods.give_up(control) is Tombstone.PLACED
    assert await stand.runs() == 0


async def test_what_has_started_can_not_be_given_up(stand: Stand) -> None:
    control = await launched(stand, stand.waits())
    await seen(stand, control, until=lambda seen, _: seen.started)
    assert await stand.pods.give_up(control) is Tombstone.TOO_LATE
    await stand.release()
    last, _ = await seen(stand, control)
    assert last.exit_code == 0
    assert await stand.pods.give_up(control) is Tombstone.TOO_LATE


async def test_two_launches_and_a_tombstone_at_once_agree_on_one_winner(stand: Stand) -> None:
    control = await prepared(stand)
    claim, *_ = await asyncio.gather(
        stand.pods.give_up(control),
        stand.pods.launch(control, attempt_of(stand), stand.prints(b"ran", 0)),
        stand.pods.launch(control, attempt_of(stand), stand.prints(b"ran", 0)),
    )
    last, output = await seen(stand, control)
    assert last.given_up is (claim is Tombstone.PLACED)
    assert output == (b"" if last.given_up else b"ran")
    assert await stand.runs() == (0 if last.given_up else 1)


async def test_following_goes_on_from_any_byte(stand: Stand) -> None:
    control = await launched(stand, stand.prints(b"0123456789", 0))
    await seen(stand, control)
    _, output = await seen(stand, control, offset=4)
    assert output == b"456789"
    last, output = await seen(stand, control, offset=10)
    assert (last.exit_code, output) == (0, b"")


async def test_a_cut_stream_ends_silently_and_the_command_runs_on(stand: Stand) -> None:
    control = await launched(stand, stand.waits())
    last, output = await seen(stand, control, until=lambda _, output: output == b"waiting\n")
    assert last.exit_code is None
    looked = asyncio.Event()
    following = asyncio.create_task(seen(stand, control, until=lambda *_: looked.set(), offset=len(output)))
    await looked.wait()
    await stand.cut()
    cut, nothing = await following
    assert (cut.alive, cut.exit_code, nothing) == (True, None, b"")
    await stand.release()
    last, rest = await seen(stand, control, offset=len(output))
    assert (last.exit_code, rest) == (0, b"done\n")
    assert await stand.runs() == 1


async def test_two_may_follow_one_command(stand: Stand) -> None:
    control = await launched(stand, stand.waits())
    both = asyncio.gather(seen(stand, control), seen(stand, control))
    await stand.release()
    for last, output in await both:
        assert (last.exit_code, output) == (0, b"waiting\ndone\n")


async def test_a_running_command_is_not_gone_and_an_ended_one_is(stand: Stand) -> None:
    control = await launched(stand, stand.waits())
    await seen(stand, control, until=lambda seen, _: seen.alive)
    assert not await stand.pods.gone(control, attempt_of(stand))
    await stand.release()
    await seen(stand, control)
    await gone(stand, control)


async def test_a_command_stops_on_term(stand: Stand) -> None:
    control = await launched(stand, stand.waits())
    await seen(stand, control, until=lambda _, output: output == b"waiting\n")
    await stand.pods.stop(control, attempt_of(stand), force=False)
    last, output = await seen(stand, control)
    assert last.exit_code == 143
    assert b"done" not in output
    await gone(stand, control)


async def test_a_command_that_ignores_term_is_killed_and_leaves_no_exit_code(stand: Stand) -> None:
    control = await launched(stand, stand.stubborn())
    await seen(stand, control, until=lambda _, output: output == b"waiting\n")
    await stand.pods.stop(control, attempt_of(stand), force=False)
    assert not await stand.pods.gone(control, attempt_of(stand))
    await stand.pods.stop(control, attempt_of(stand), force=True)
    last, _ = await seen(stand, control)
    assert (last.started, last.alive, last.exit_code) == (True, False, None)
    await gone(stand, control)


async def test_h4_the_output_of_a_command_that_is_over_is_removed_and_its_end_stays(stand: Stand) -> None:
    control = await launched(stand, stand.prints(b"secret", 3))
    assert (await seen(stand, control))[0].exit_code == 3
    await stand.pods.discard([control])
    last, output = await seen(stand, control)
    assert (last.started, last.exit_code, output) == (True, 3, b"")
    # A launch that was on its way for long finds the claim taken.
    await stand.pods.launch(control, attempt_of(stand), stand.prints(b"again", 0))
    assert (await seen(stand, control))[0].exit_code == 3
    assert await stand.pods.give_up(control) is Tombstone.TOO_LATE
    await stand.pods.discard([control, control])


async def test_h4_the_output_of_a_command_that_runs_is_left(stand: Stand) -> None:
    control = await launched(stand, stand.waits())
    await seen(stand, control, lambda _, output: b"waiting" in output)
    await stand.pods.discard([control])
    await stand.release()
    assert b"waiting" in (await seen(stand, control))[1]
    await stand.remove()
    await stand.pods.discard([control])


async def test_the_container_of_a_running_command_is_running(stand: Stand) -> None:
    assert (await stand.pods.fate(await prepared(stand))).fate is Fate.RUNNING


async def test_a_restarted_container_takes_neither_launch_nor_look_of_an_older_one(stand: Stand) -> None:
    control = await launched(stand, stand.waits())
    await seen(stand, control, until=lambda seen, _: seen.alive)
    await stand.restart()
    fate = await stand.pods.fate(control)
    assert fate.fate is Fate.TERMINATED
    for act in (
        stand.pods.launch(control, attempt_of(stand), stand.waits()),
        seen(stand, control),
        stand.pods.give_up(control),
    ):
        with pytest.raises(PermanentError) as raised:
            await act
        assert raised.value.reason is Reason.COMMAND_INTERRUPTED
    assert await stand.pods.gone(control, attempt_of(stand))
    await stand.pods.stop(control, attempt_of(stand), force=True)


async def test_of_a_deleted_pod_nothing_is_known(stand: Stand) -> None:
    control = await launched(stand, stand.waits())
    await stand.remove()
    assert (await stand.pods.fate(control)).fate is Fate.UNKNOWN
    with pytest.raises(PermanentError) as raised:
        await seen(stand, control)
    assert raised.value.reason is Reason.POD_NOT_FOUND
    with pytest.raises(PermanentError):
        await stand.pods.gone(control, attempt_of(stand))


async def test_the_services_own_log_is_read_to_its_end(stand: Stand) -> None:
    await stand.pod()
    assert await stand.pods.last_log(stand.environment, "app.kubernetes.io/name=nothing", 5) == ""
    assert "\n" not in (await stand.pods.last_log(stand.environment, stand.selector, 1)).strip()


async def gone(stand: Stand, control: Control) -> None:
    async with asyncio.timeout(20):
        while not await stand.pods.gone(control, attempt_of(stand)):  # noqa: ASYNC110 - asked of a cluster
            await asyncio.sleep(0.05)
