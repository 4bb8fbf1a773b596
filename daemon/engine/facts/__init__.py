"""Facts: what is read of the world before a plan is made, and again once its locks are held."""
