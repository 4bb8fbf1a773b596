"""A state database that was restored from an older backup: what it lacks, and how a person adopts it."""
