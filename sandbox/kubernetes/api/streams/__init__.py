"""Carries the answers that stay open: execs, logs and watches."""
