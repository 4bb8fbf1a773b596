"""Decisions: life cycle, planning, rules, acts, retries, locks. Pure: no I/O, no clock, no asyncio."""
