"""Short execs: a command that changes nothing, or one of our scripts, attached from its start to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

from daemon.adapters.kubernetes.client import Kubernetes
from daemon.adapters.kubernetes.errors import unreachable
from daemon.adapters.kubernetes.exec.missing_program import says_program_is_missing
from daemon.adapters.kubernetes.exec.websocket_stream import (
    STDERR,
    STDOUT,
    ContainerRef,
    not_started,
    open_exec,
)
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from daemon.ports.pods.cluster import Result
from daemon.redaction import redact
from schemas.reasons import Reason

SCRIPT_TIMEOUT_SECONDS = 30.0
"""For one of our scripts."""
_MAX_OUTPUT_BYTES = 16 * 1024 * 1024
_NOT_RUN = frozenset({126, 127})
"""Codes by which shells, and some runtimes, say that a program was not run."""


async def execute(
    kubernetes: Kubernetes,
    container: ContainerRef,
    argv: Sequence[str],
    timeout: float,
    stdin: bytes | None = None,
) -> Result:
    """Run a short command attached, once its pod has a free slot.

    Raises:
        TemporaryError: no Status within `timeout` seconds, or its stream was cut.
        PermanentError: `exec-refused`: it could not be started, or printed more than 16 MiB.
    """
    output = {STDOUT: bytearray(), STDERR: bytearray()}
    try:
        async with (
            # Its time begins with its slot: of a thousand that wait, the last ones would never have any.
            kubernetes.execs.slot(container.environment, container.pod),
            asyncio.timeout(timeout),
            open_exec(kubernetes.websocket, container, argv, stdin=stdin is not None) as stream,
        ):
            if stdin:
                await stream.send(stdin)
            async with aclosing(stream.messages()) as messages:
                async for channel, data in messages:
                    output[channel] += data
                    if len(output[channel]) > _MAX_OUTPUT_BYTES:
                        raise PermanentError(Reason.EXEC_REFUSED, f"{container}: more than 16 MiB of output")
    except TimeoutError as error:
        raise TemporaryError(
            Reason.COMMAND_TIMED_OUT, f"{container}: no answer of a command within {timeout:g} s"
        ) from error
    if stream.exit_code is None:
        raise unreachable(f"see the end of a command in {container}", "its stream was cut")
    return Result(stream.exit_code, bytes(output[STDOUT]), bytes(output[STDERR]))


def unexpected_exit(script: str, container: ContainerRef, result: Result) -> PortError:
    """Make the error for an exit code that the script itself never gives.

    Some runtimes (CRI-O, Docker) give 126 or 127 for a command that they could not start, and say why as its output.
    """
    # Masked before it is cut: a part of a secret has no shape.
    errors = redact((result.stderr or result.stdout).decode("utf-8", "replace")).strip()[-300:]
    if result.exit_code in _NOT_RUN and says_program_is_missing(errors, "sh"):
        return not_started(errors, str(container), "sh")
    return TemporaryError(
        Reason.EXEC_REFUSED, f"{container}: {script} ended with {result.exit_code}: {errors}"
    )
