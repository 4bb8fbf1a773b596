"""Adapters in the memory of this process, for tests. They pass the same contract tests as the real ones."""
