"""The platform under torture: its daemons, the requests, the operator, and the evidence that is gathered."""
