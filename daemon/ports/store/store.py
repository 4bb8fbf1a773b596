"""The state database. A reset has one writer, the holder of its lease, who writes by compare-and-set."""

from __future__ import annotations

from typing import Protocol

from daemon.ports.store.intake import IntakeStore
from daemon.ports.store.leases import LeaseStore
from daemon.ports.store.outbox import OutboxStore
from daemon.ports.store.protection import ProtectionStore
from daemon.ports.store.queries import StoreQueries
from daemon.ports.store.restraints import RestraintStore
from daemon.ports.store.retention import RetentionStore
from daemon.ports.store.state import StateStore


class Store(
    IntakeStore,
    LeaseStore,
    OutboxStore,
    ProtectionStore,
    RestraintStore,
    RetentionStore,
    StateStore,
    StoreQueries,
    Protocol,
):
    """The whole of the state database.

    Every store obliges itself:

    - A method is one transaction.
    - What a method returned is durable.
    - Leases run by the database's own clock.
    - Ids of acts, of outbox rows and tickets grow in the order in which they become visible.
    - Every method raises TemporaryError (`unavailable`) when the database does not answer.
    """
