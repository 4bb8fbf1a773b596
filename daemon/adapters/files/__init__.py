"""Adapters that keep things in directories of this machine."""
