"""The node: makes a pod of the store a process tree."""
