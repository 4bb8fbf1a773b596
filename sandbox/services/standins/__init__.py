"""The programs on a container's PATH.

Each is started hundreds of times: nothing heavy is imported before it is needed.
"""
