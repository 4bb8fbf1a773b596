"""What happens in a round, from its seed."""
