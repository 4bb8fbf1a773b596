"""Faults of the sandbox platform: armed by a control API or by a seeded plan, and counted when they really hit.

    kinds        every fault by its name
    fault        one fault to arm
    plan         many faults from a seed
    faults       the control: arm, clear, count
    armoury      what is armed and what has hit, as files that all processes of the platform share
    injection    injects the faults that happen to a server from outside

Injectors are in `sandbox.kubernetes.api_server_faults`, `sandbox.postgres.faults`,
`sandbox.postgres.state_database` and `sandbox.kafka.faults`. The faults that a client's own
call meets are in `sandbox.kubernetes.faults`, `sandbox.github.faults` and `sandbox.postgres.dump_faults`.
"""

from sandbox.faults.armoury import Group
from sandbox.faults.fault import Fault
from sandbox.faults.faults import Faults
from sandbox.faults.kinds import FaultKind
from sandbox.faults.plan import plan

__all__ = ["Fault", "FaultKind", "Faults", "Group", "plan"]
