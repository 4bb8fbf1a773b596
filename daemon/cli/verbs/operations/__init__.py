"""Verbs about what is there beside resets: environments, locks, backups, the audit, who one is."""
