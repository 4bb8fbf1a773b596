"""Ids that the daemon makes."""

from __future__ import annotations

import os
import socket

import uuid_utils

from schemas.wire import ResetId


def new_reset_id() -> ResetId:
    """Make a UUIDv7 (RFC 9562): ids sort by the time at which they were made."""
    return ResetId(str(uuid_utils.uuid7()))


def new_boot_id() -> str:
    """Name this start of a process, and no other: a restarted process is another owner of leases."""
    return f"{socket.gethostname()}/{os.getpid()}/{uuid_utils.uuid7()}"
