"""Decisions about one step: what an exit code means, whether to try again, what a resume repeats."""
