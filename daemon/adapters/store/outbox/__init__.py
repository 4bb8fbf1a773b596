"""Histories and the outbox: what is to be published, stored with what it tells of."""
