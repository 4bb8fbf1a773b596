"""Pods, split by who asks; `pods` is the whole of it."""
