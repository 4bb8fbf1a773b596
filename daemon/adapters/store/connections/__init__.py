"""Connections and transactions of the state database, on SQLite and PostgreSQL."""
