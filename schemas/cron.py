"""Schedules of CronJobs: five fields of crontab(5), or one of the names that Kubernetes takes.

Source: Kubernetes reference, CronJob, "Schedule syntax".
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from cronsim import CronSim, CronSimError

_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def runs(schedule: str, since: datetime) -> Iterator[datetime]:
    """Return the times after `since` at which a schedule is due, in the time zone of `since`.

    Raises:
        ValueError: the schedule can't be read.
    """
    try:
        return iter(CronSim(_NAMED.get(schedule.strip(), schedule), since))
    except CronSimError as error:
        raise ValueError(f"{schedule}: {error}") from error
