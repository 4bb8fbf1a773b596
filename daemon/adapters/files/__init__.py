"""Adapters that keep their data in directories of this machine."""
