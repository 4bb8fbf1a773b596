"""The system that the daemon runs on: its clock, ids, the garbage collector."""
