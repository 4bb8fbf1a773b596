"""What the holder of a lease does: claim, save, lock, read acts."""
