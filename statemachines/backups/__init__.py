"""What backups are compared with, and what follows."""
