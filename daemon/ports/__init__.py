"""What the engine asks of the world, as Protocols whose docstrings state obligations.

Each port has one contract test (`tests/contract/`) that its real adapter and its in-memory double both pass.
"""
