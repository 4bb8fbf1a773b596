"""The whole platform on one machine: its directory, its processes, snapshots of its databases."""
