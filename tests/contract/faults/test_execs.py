"""Faults of the exec stream, as a client of the daemon's account meets them on the wire."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest

from sandbox.faults import Fault, FaultKind, Faults
from tests.contract.kubernetes_double.stand import NAMESPACE, Api, Ran

REFUSED = {
    FaultKind.EXEC_403: (403, "Forbidden"),
    FaultKind.EXEC_404: (404, "NotFound"),
    FaultKind.EXEC_429: (429, "TooManyRequests"),
    FaultKind.EXEC_500: (500, "InternalError"),
    FaultKind.EXEC_503: (503, "ServiceUnavailable"),
}
ABRUPT = {
    FaultKind.EXEC_CUT_BEFORE_START,
    FaultKind.EXEC_CUT_AFTER_START,
    FaultKind.EXEC_CUT_BEFORE_STATUS,
    FaultKind.EXEC_CLOSE_1006,
}
LEAVES_A_MARK = "sleep 0.1; echo one; echo ran >> /tmp/{}"


async def said(api: Api, pod: str, script: str) -> tuple[Ran, int | None]:
    """What came over the stream until its end, and the close code."""
    ran = Ran()
    async with api.stream(pod, "sh", "-c", script) as socket:
        async for message in socket:
            data: bytes = message.data
            if data[0] == 1:
                ran.stdout += data[1:]
            elif data[0] == 3 and len(data) > 1:
                ran.status = {"raw": data[1:]}
        return ran, socket.close_code


async def marks(admin: Api, pod: str, mark: str, *, wanted: bool) -> int:
    """How often the command ran, once it did; 0 is believed after a while in which it would have run."""
    script = (
        f"n=0; until [ -s /tmp/{mark} ] || [ $n = {80 if wanted else 8} ]; do sleep 0.05; n=$((n+1)); done"
    )
    return int(await admin.output(pod, f"{script}; cat /tmp/{mark} 2>/dev/null | wc -l"))


@pytest.mark.parametrize("kind", sorted(REFUSED))
async def test_an_exec_is_refused_before_the_upgrade_and_the_next_one_is_not(
    kind: FaultKind, daemon: Api, faults: Faults
) -> None:
    pod, before = await daemon.pod(), (await faults.hits()).get(kind, 0)
    await faults.arm(Fault(kind, NAMESPACE, "app"))
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await daemon.run(pod, "true")
    assert refused.value.status == REFUSED[kind][0]
    if kind is FaultKind.EXEC_429:
        assert refused.value.headers
        assert refused.value.headers["Retry-After"] == "1"
    assert (await faults.hits())[kind] == before + 1
    ran = await daemon.run(pod, "true")
    assert ran.status
    assert ran.status["status"] == "Success"


async def test_a_handshake_is_never_answered(daemon: Api, faults: Faults) -> None:
    await faults.arm(Fault(FaultKind.EXEC_HANDSHAKE_HUNG))
    pod = await daemon.pod()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await daemon.run(pod, "true")
    assert (await faults.hits())[FaultKind.EXEC_HANDSHAKE_HUNG] == 1
    assert (await daemon.run(pod, "true")).status


@pytest.mark.parametrize(
    ("kind", "runs", "prints"),
    [
        (FaultKind.EXEC_CUT_BEFORE_START, 0, b""),
        (FaultKind.EXEC_CUT_AFTER_START, 1, b""),
        (FaultKind.EXEC_CUT_BEFORE_STATUS, 1, b"one\n"),
        (FaultKind.EXEC_CLOSE_1000, 1, b"one\n"),
        (FaultKind.EXEC_CLOSE_1001, 1, b"one\n"),
        (FaultKind.EXEC_CLOSE_1006, 1, b"one\n"),
    ],
)
async def test_a_stream_ends_without_a_status_and_the_command_ran_or_not(
    kind: FaultKind, runs: int, prints: bytes, daemon: Api, admin: Api, faults: Faults
) -> None:
    await faults.arm(Fault(kind, NAMESPACE))
    pod = await daemon.pod()
    ran, code = await said(daemon, pod, LEAVES_A_MARK.format(kind))
    assert ran.status is None
    assert ran.stdout == prints
    assert code == (1006 if kind in ABRUPT else int(kind.rpartition("-")[2]))
    assert await marks(admin, pod, kind, wanted=runs > 0) == runs
    assert (await faults.hits())[kind] == 1
    assert (await said(daemon, pod, "true"))[0].status


async def test_a_half_open_stream_says_nothing_and_does_not_end(
    daemon: Api, admin: Api, faults: Faults
) -> None:
    await faults.arm(Fault(FaultKind.EXEC_HALF_OPEN))
    pod = await daemon.pod()
    async with daemon.stream(pod, "sh", "-c", LEAVES_A_MARK.format("half")) as socket:
        assert (await socket.receive()).data == b"\x01", "the server's greeting, which says nothing"
        with pytest.raises(TimeoutError):
            await socket.receive(timeout=1)
        await faults.clear()
    assert await marks(admin, pod, "half", wanted=True) == 1
    assert (await faults.hits())[FaultKind.EXEC_HALF_OPEN] == 1


async def test_a_half_open_stream_whose_connection_is_reset_is_over(
    daemon: Api, admin: Api, faults: Faults
) -> None:
    await faults.arm(Fault(FaultKind.EXEC_HALF_OPEN))
    async with daemon.stream(await daemon.pod(), "true") as socket:
        assert (await socket.receive()).data == b"\x01"
        async with asyncio.timeout(5):
            while not faults.lasts(FaultKind.EXEC_HALF_OPEN):  # noqa: ASYNC110 - another process's files
                await asyncio.sleep(0.01)
        assert (await admin.call("POST", "/sandbox/streams/cut")).body == {"cut": 1}
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSED
    await faults.clear(within=5)


async def test_a_launch_that_was_accepted_begins_late_whether_or_not_its_stream_is_still_there(
    daemon: Api, admin: Api, faults: Faults
) -> None:
    kind = FaultKind.EXEC_BEGINS_LATE
    await faults.arm(Fault(kind, NAMESPACE, seconds=2.0))
    pod = await daemon.pod()
    assert (await daemon.run(pod, "true")).status, "no launch, so it is not held back"
    async with daemon.stream(pod, *launch("late")) as socket:
        assert (await socket.receive()).data == b"\x01", "the server's greeting: it was accepted"
        async with asyncio.timeout(1):
            while not faults.lasts(kind):  # noqa: ASYNC110 - another process's files
                await asyncio.sleep(0.01)
        assert (await daemon.run(pod, *launch("prompt"))).status, "one fault holds back one launch"
        assert await admin.output(pod, "cat /tmp/prompt; cat /tmp/late 2>/dev/null || true") == "ran"
        assert kind not in await faults.hits()
        assert (await admin.call("POST", "/sandbox/streams/cut")).body == {"cut": 1}
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSED
        assert faults.lasts(kind)
    assert await marks(admin, pod, "late", wanted=True) == 1
    assert (await faults.hits())[kind] == 1


def launch(mark: str) -> tuple[str, ...]:
    """As the daemon launches a command."""
    return ("env", "RESETD_ATTEMPT=reset/step/1", "sh", "-c", f"echo ran >> /tmp/{mark}")


async def test_a_delayed_reply_comes_whole(daemon: Api, faults: Faults) -> None:
    await faults.arm(Fault(FaultKind.EXEC_DELAYED, seconds=0.7))
    pod = await daemon.pod()
    began = time.monotonic()
    ran, _ = await said(daemon, pod, "echo one; echo two")
    assert time.monotonic() - began >= 0.7
    assert (ran.stdout, ran.status is not None) == (b"one\ntwo\n", True)
    assert (await faults.hits())[FaultKind.EXEC_DELAYED] == 1


async def test_a_split_reply_comes_in_odd_pieces_that_tear_characters(daemon: Api, faults: Faults) -> None:
    await faults.arm(Fault(FaultKind.EXEC_SPLIT))
    pod = await daemon.pod()
    async with daemon.stream(pod, "printf", "äöü and more of it\n") as socket:
        frames = [message.data async for message in socket]
    pieces = [data[1:] for data in frames if data[0] == 1 and len(data) > 1]
    assert b"".join(pieces).decode() == "äöü and more of it\n"
    assert [len(piece) for piece in pieces[:3]] == [1, 3, 5]
    assert (await faults.hits())[FaultKind.EXEC_SPLIT] == 1


async def test_other_accounts_environments_and_services_are_spared(
    daemon: Api, admin: Api, faults: Faults
) -> None:
    await faults.arm(Fault(FaultKind.EXEC_500, "other-sandbox"))
    await faults.arm(Fault(FaultKind.EXEC_500, NAMESPACE, "another-service"))
    pod = await daemon.pod()
    assert (await daemon.run(pod, "true")).status
    await faults.arm(Fault(FaultKind.EXEC_500))
    assert (await admin.run(pod, "true")).status
    await faults.clear()
    assert (await daemon.run(pod, "true")).status


async def test_a_fault_with_several_times_is_spent_after_them(daemon: Api, faults: Faults) -> None:
    before = (await faults.hits()).get(FaultKind.EXEC_503, 0)
    await faults.arm(Fault(FaultKind.EXEC_503, times=2))
    pod = await daemon.pod()
    for _ in range(2):
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await daemon.run(pod, "true")
    assert (await daemon.run(pod, "true")).status
    assert (await faults.hits())[FaultKind.EXEC_503] == before + 2
