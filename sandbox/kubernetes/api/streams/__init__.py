"""Answers that stay open: execs, logs and watches."""
