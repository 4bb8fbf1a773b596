"""The state store on SQLite and PostgreSQL."""

from daemon.adapters.store.connections.addresses import is_missing_file
from daemon.adapters.store.connections.process_lock import embedded_lock
from daemon.adapters.store.store import SqlStore, open_store

__all__ = ["SqlStore", "embedded_lock", "is_missing_file", "open_store"]
