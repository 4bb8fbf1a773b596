"""What a short command in a pod said, as errors show it."""

from __future__ import annotations

from daemon.ports.errors import TemporaryError
from daemon.ports.pods.cluster import Result
from daemon.redaction import redact
from schemas.reasons import Reason

_SHOWN = 500
"""Last characters of the output that an error shows."""


def last_said(result: Result) -> str:
    """Return the end of what the command printed. It is masked before it is cut."""
    return redact((result.stdout + result.stderr).decode(errors="replace")).strip()[-_SHOWN:]


def no_answer(question: str, result: Result) -> TemporaryError:
    """Make the error for a question whose exit code is none of its answers."""
    detail = f"{question} ended with {result.exit_code}, which is no answer: {last_said(result)}"
    return TemporaryError(Reason.CHECK_FAILED, detail)
