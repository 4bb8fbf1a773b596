"""PostgreSQL: whose database a URL leads to, the handshake's lock, and backups by PostgreSQL's own programs."""
