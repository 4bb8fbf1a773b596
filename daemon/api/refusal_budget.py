"""How many refused tries of one subject the audit takes: enough to see what somebody tries, bounded for ever."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

import structlog

RECORDED = 60
"""Refused tries of one subject that are recorded within `WITHIN`."""
WITHIN = timedelta(hours=1)

_log = structlog.get_logger()


class RefusalBudget:
    """Counts the refused tries of each subject. Subjects come from tokens, so there are few."""

    def __init__(self) -> None:
        self._recorded: dict[str, deque[datetime]] = {}
        self._told: set[str] = set()

    def may_record(self, subject: str, now: datetime) -> bool:
        """Whether another refused try of the subject goes into the audit. The first that does not is logged."""
        recorded = self._recorded.setdefault(subject, deque(maxlen=RECORDED))
        if len(recorded) == RECORDED and now - recorded[0] < WITHIN:
            if subject not in self._told:
                self._told.add(subject)
                _log.warning("audit.refusals-left-out", subject=subject, recorded=RECORDED)
            return False
        self._told.discard(subject)
        recorded.append(now)
        return True
