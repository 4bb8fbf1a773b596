"""Batches of entries, stored with their offset."""
