"""How the entries of the intake lead to resets, acts and refusals: decided alike for every store."""
