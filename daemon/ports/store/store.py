"""The state database. One writer for each reset: the holder of its lease, by compare-and-set.

Obligations of every store: a method is one transaction; what it returned is durable; time for leases is the
database's own; ids of acts, outbox rows and tickets grow in the order in which they became visible.
"""

from __future__ import annotations

from typing import Protocol

from daemon.ports.store.intake import IntakeStore
from daemon.ports.store.leases import LeaseStore
from daemon.ports.store.outbox import OutboxStore
from daemon.ports.store.queries import StoreQueries
from daemon.ports.store.state import StateStore


class Store(IntakeStore, LeaseStore, OutboxStore, StateStore, StoreQueries, Protocol):
    """All of it, as one database gives it."""
