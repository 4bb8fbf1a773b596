"""Adapters that live in this process: the same contracts as the real ones, for tests."""
