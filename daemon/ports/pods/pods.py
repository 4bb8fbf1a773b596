"""Pods, as one cluster gives them: what runs where, holders, and commands."""

from __future__ import annotations

from typing import Protocol

from daemon.ports.pods.cluster import Cluster
from daemon.ports.pods.commands import PodCommands
from daemon.ports.pods.holders import Holders


class Pods(Cluster, Holders, PodCommands, Protocol):
    """All that one cluster gives.

    - At most so many calls run at once, in all and in one pod; the others wait for a slot.
    - Once it has a slot, no call blocks past its own time limit.
    """
