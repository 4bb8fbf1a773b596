"""Quiescing in Kubernetes: workloads are scaled to 0, ArgoCD's automated sync is held, and both are undone."""
