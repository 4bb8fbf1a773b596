"""Decisions: life cycle, planning, rules, retry arithmetic, lock order. Pure: no I/O, no clock, no asyncio."""
