"""What the daemon is told: settings, the catalog file, how it logs. The only reader of environment variables."""
