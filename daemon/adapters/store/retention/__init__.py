"""Old rows go: which may, how they are removed, and what is left of them."""
