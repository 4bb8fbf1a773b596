"""Decisions about one step: what an exit code means, whether it is tried again, what a resume repeats."""
