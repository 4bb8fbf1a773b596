"""Verbs of the daemon itself: they need no running daemon."""
