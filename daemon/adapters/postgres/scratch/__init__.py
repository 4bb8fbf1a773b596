"""Databases of scratch servers, into which backups are restored to prove them."""
