"""Faults of the cluster: in requests of the daemon's account, in pods, in containers, and pods that pretend."""
