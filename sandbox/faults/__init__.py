"""Faults of the sandbox platform: armed by a control API or by a seeded plan, counted when they really hit.

kinds       every fault by name
fault       one fault to arm
plan        many of them, from a seed
faults      the control: arm, clear, count
armoury     what is armed and what has hit, as files that all processes of the platform share
"""

from sandbox.faults.fault import Fault
from sandbox.faults.faults import Faults
from sandbox.faults.kinds import FaultKind
from sandbox.faults.plan import plan

__all__ = ["Fault", "FaultKind", "Faults", "plan"]
