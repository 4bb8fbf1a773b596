"""What is told of a reset, and the chains that show that nothing of it was changed."""
