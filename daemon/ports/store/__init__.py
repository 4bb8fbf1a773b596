"""The state database, split by who asks; `store` is the whole of it."""
