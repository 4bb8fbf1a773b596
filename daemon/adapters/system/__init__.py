"""The system that the daemon runs on: its clock, new ids, the garbage collector."""
