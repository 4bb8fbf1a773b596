"""Pods, as one cluster gives them: what runs where, holders, and commands."""

from __future__ import annotations

from typing import Protocol

from daemon.ports.pods.cluster import Cluster
from daemon.ports.pods.commands import PodCommands
from daemon.ports.pods.holders import Holders


class Pods(Cluster, Holders, PodCommands, Protocol):
    """None blocks past its own time limit, once it is its turn.

    So many run at once, in all and in one pod; the others wait.
    """
