"""The daemons under torture: how they are started, killed, stopped, and broken on purpose."""
