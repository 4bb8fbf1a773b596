"""Failpoints name the store's methods by text: a method that is renamed would switch them off silently."""

from __future__ import annotations

from daemon.adapters.store import SqlStore
from tests.torture.daemons.failpoints import COMMITS


def test_every_commit_at_which_a_daemon_can_die_is_a_method_of_the_store() -> None:
    assert [name for name in (*COMMITS, "published") if not callable(getattr(SqlStore, name, None))] == []
