"""Catalog files that are shipped with the daemon."""
