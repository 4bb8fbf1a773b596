"""The programs on a container's PATH.

Each is started hundreds of times, so it imports nothing heavy before it needs it.
"""
