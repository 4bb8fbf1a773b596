"""Kubernetes: pods with commands that outlive their stream, and ArgoCD's Applications.

Import the modules, not this package: kubernetes_asyncio takes most of a second to import, and the command line does
without.
"""
