"""Stores of dumps."""
