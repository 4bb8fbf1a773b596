"""Stand-in for the Prisma 6.19 CLI: its commands, its ledger, its lock, its words and exit codes."""
