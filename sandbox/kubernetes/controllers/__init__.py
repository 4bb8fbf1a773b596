"""The controllers: Deployments, ReplicaSets, ArgoCD, and the environments that they make."""
