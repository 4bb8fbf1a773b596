"""Generators of the documents that are kept in the repository: `python -m docs.generate`, `--check` for drift."""
