"""The lines of a reset's history and of the audit, and the chains of hashes that show any later change to them."""
