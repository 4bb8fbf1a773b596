"""The platform: its directory, its child processes, the whole of it, and snapshots of its databases."""
