"""Answers the verbs on API objects, and shows the objects as Tables and Scales."""
