"""The API objects: their kinds, the memory that keeps them, who owns whom."""
