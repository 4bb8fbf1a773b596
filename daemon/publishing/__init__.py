"""How statuses and dead letters go out."""
