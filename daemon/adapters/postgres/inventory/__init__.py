"""What a database holds beside its rows, as a manifest tells it."""
