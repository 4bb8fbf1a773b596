"""What crosses a boundary: events, the catalog file, plans, API bodies, database rows. No behaviour, no I/O."""
