"""What requests say: bodies, query parameters and patches, decoded."""
