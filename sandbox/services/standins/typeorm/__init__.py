"""Stand-in for the TypeORM 1.1 CLI: migrations one by one in one transaction, `query`, its words and exit codes."""
