"""What the daemon asks of the world, as Protocols whose docstrings state obligations.

Each port has one contract test (`tests/contract/`), which its real adapters and its double in memory pass alike.
"""

from dataclasses import dataclass

from daemon.ports.backups import Backups
from daemon.ports.clock import Clock
from daemon.ports.contents import Contents
from daemon.ports.databases import Databases
from daemon.ports.logs import Logs
from daemon.ports.marks import Marks
from daemon.ports.pods.pods import Pods
from daemon.ports.quiescing import Quiescing
from daemon.ports.repositories import Repositories
from daemon.ports.restore_proofs import RestoreProofs


@dataclass(frozen=True)
class Ports:
    """The ports that performing a step touches."""

    pods: Pods
    databases: Databases
    backups: Backups
    repositories: Repositories
    logs: Logs
    clock: Clock
    marks: Marks
    contents: Contents
    quiescing: Quiescing
    proofs: RestoreProofs
