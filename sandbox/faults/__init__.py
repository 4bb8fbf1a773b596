"""Faults of the sandbox platform: armed by a control API or by a seeded plan, counted when they really hit.

`kinds` names every fault, `fault` is one to arm, `plan` makes many of them from a seed, `faults` is the control: arm,
clear, count. `armoury` holds what is armed and what has hit, as files that all processes of the platform share.
`injection` lets those happen that nobody runs into by himself (`sandbox.kubernetes.api_server_faults`,
`sandbox.postgres.faults`, `sandbox.postgres.state_database`, `sandbox.kafka.faults`); what clients run into is in
`sandbox.kubernetes.faults`, in `sandbox.github.faults` and in the pg_dump of `sandbox.postgres.dump_faults`.
"""

from sandbox.faults.armoury import Group
from sandbox.faults.fault import Fault
from sandbox.faults.faults import Faults
from sandbox.faults.kinds import FaultKind
from sandbox.faults.plan import plan

__all__ = ["Fault", "FaultKind", "Faults", "Group", "plan"]
