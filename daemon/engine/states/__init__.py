"""The states of a reset in which something is done; each module says how one of them is left."""
