"""The API server: verbs on objects, watches, execs, logs."""
