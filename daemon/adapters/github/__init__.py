"""Repositories on GitHub, by PyGithub."""
