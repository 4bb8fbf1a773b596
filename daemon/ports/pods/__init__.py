"""The pods of a cluster, split by what is asked of them; `pods` is the whole of it.

- `cluster`: what runs where, and short questions asked in a pod.
- `holders`: pods that a reset makes for itself.
- `commands`: commands that outlive their stream and the daemon.
"""
