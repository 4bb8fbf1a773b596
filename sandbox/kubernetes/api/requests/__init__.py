"""Decodes what requests bring: bodies, query parameters and patches."""
