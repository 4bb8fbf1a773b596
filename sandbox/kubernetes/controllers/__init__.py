"""The controllers: Deployments, ReplicaSets, ArgoCD, and the environments that ArgoCD makes."""
