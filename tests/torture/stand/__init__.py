"""The platform under torture: what is asked of it, and the evidence that is gathered."""
