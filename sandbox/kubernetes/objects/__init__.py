"""The API objects: their kinds, the store that keeps them, what is admitted, and who owns whom."""
