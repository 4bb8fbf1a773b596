"""The catalog file's shapes."""
