"""Short execs: a command that changes nothing or is one of our scripts, attached from its start to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

from daemon.adapters.kubernetes.client import Kubernetes
from daemon.adapters.kubernetes.errors import unreachable
from daemon.adapters.kubernetes.exec.websocket_stream import STDERR, STDOUT, Place, open_exec
from daemon.ports.errors import PermanentError, TemporaryError
from daemon.ports.pods.cluster import Result
from schemas.reasons import Reason

_OUTPUT_BYTES = 16 * 1024 * 1024


async def execute(
    kubernetes: Kubernetes, place: Place, argv: Sequence[str], timeout: float, stdin: bytes | None = None
) -> Result:
    """Run a short command attached, in its pod's turn.

    Raises:
        TemporaryError: no Status within `timeout` seconds, or its stream was cut.
        PermanentError: `exec-refused`: it could not be started, or printed more than 16 MiB.
    """
    output = {STDOUT: bytearray(), STDERR: bytearray()}
    try:
        async with (
            # Its time begins with its turn: of a thousand that wait, those behind would never have any.
            kubernetes.execs.turn(place.environment, place.pod),
            asyncio.timeout(timeout),
            open_exec(kubernetes.websocket, place, argv, stdin=stdin is not None) as stream,
        ):
            if stdin:
                await stream.send(stdin)
            async with aclosing(stream.messages()) as messages:
                async for channel, data in messages:
                    output[channel] += data
                    if len(output[channel]) > _OUTPUT_BYTES:
                        raise PermanentError(Reason.EXEC_REFUSED, f"{place}: more than 16 MiB of output")
    except TimeoutError as error:
        raise TemporaryError(
            Reason.COMMAND_TIMED_OUT, f"{place}: no answer of a command within {timeout:g} s"
        ) from error
    if stream.exit_code is None:
        raise unreachable(f"see the end of a command in {place}", "its stream was cut")
    return Result(stream.exit_code, bytes(output[STDOUT]), bytes(output[STDERR]))


def unexpected(script: str, place: Place, result: Result) -> TemporaryError:
    """The error for an exit code that the script itself never gives."""
    said = result.stderr.decode("utf-8", "replace").strip()[-300:]
    return TemporaryError(Reason.EXEC_REFUSED, f"{place}: {script} ended with {result.exit_code}: {said}")
