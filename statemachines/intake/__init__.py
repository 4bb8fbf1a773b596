"""What becomes of a request that can be read."""
