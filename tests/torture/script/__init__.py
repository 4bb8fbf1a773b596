"""The script of a round: its shapes, and how it is made from a seed."""
