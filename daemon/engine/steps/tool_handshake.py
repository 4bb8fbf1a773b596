"""One handshake: a service's own tool sends a nonce, and the daemon's witness in the database hears it, or does not."""

from __future__ import annotations

import secrets

from daemon.engine.facts.short_answers import last_said
from daemon.ports.databases import Witness
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from daemon.ports.pods.cluster import Cluster, Pod, Result
from schemas.catalog.catalog import Handshake
from schemas.plan import Failure
from schemas.reasons import Reason
from statemachines.steps.handshake import NONCE_BYTES, statement
from statemachines.steps.known_failures import known_failure, printed_usage

_ON_THE_WAY_SECONDS = 2.0
"""How long a nonce may be on its way once the tool has ended: it was sent when its transaction was committed."""
_HINT = (
    "Compare the URL variable, directUrl, .env and prisma.config of the service, and where each address leads; the "
    "catalog's `handshake` has to commit its statement (docs/handshake.md)."
)
_OTHER_VERSION = (
    "The tool's version does not take the catalog's `handshake`: docs/handshake.md has the "
    "commands of each version."
)


async def shake_hands(
    cluster: Cluster, pod: Pod, handshake: Handshake, witness: Witness, failures: tuple[Failure, ...] = ()
) -> None:
    """Return once the witness heard what the tool in this container sent. Nothing else shows where the tool leads.

    An exit code, and what the tool prints, only say why nothing was heard. Each try has a nonce of its own, so that one
    which comes late shows nothing of a later try.

    Raises:
        PermanentError: `database-mismatch`, `database-standby`, or what a known failure means.
        TemporaryError: it could not be tried.
    """
    nonce = secrets.token_hex(NONCE_BYTES)
    argv, stdin = statement(handshake, nonce)
    result: Result | PortError
    try:
        result = await cluster.read(pod, argv, timeout=handshake.timeout, stdin=stdin)
    except PortError as error:
        # A tool that hangs, or whose stream was cut, may have been heard.
        result = error
    if await witness.hear(nonce, timeout=_ON_THE_WAY_SECONDS):
        return
    if isinstance(result, PortError):
        raise result
    name = witness.identity.name
    if not await witness.is_alive():
        raise TemporaryError(Reason.DATABASE_UNREACHABLE, f"the session that listens in {name} has ended")
    raise _not_heard(pod, name, result, failures)


def _not_heard(pod: Pod, name: str, result: Result, failures: tuple[Failure, ...]) -> PortError:
    said = (result.stdout + result.stderr).decode(errors="replace")
    told = f" (exit code {result.exit_code}): {last_said(result)}"
    if "during recovery" in said:
        return PermanentError(
            Reason.DATABASE_STANDBY,
            f"the tool of {pod.name} reaches a standby, not {name}{told}",
            hint="Give the service the address of the primary.",
        )
    if result.exit_code == 0:
        detail = f"what the tool of {pod.name} sent was not heard in {name}, of which the backup is{told}"
        return PermanentError(Reason.DATABASE_MISMATCH, detail, hint=_HINT)
    known = known_failure(failures, said)
    detail = f"the tool of {pod.name} could not send to {name}{told}"
    if known is None and printed_usage(said):
        return PermanentError(Reason.TOOL_USAGE, detail, hint=_OTHER_VERSION)
    if known is None:
        return TemporaryError(Reason.DATABASE_UNIDENTIFIED, detail, hint=_HINT)
    kind = TemporaryError if known.temporary else PermanentError
    return kind(Reason(known.reason), detail, hint=known.hint)
