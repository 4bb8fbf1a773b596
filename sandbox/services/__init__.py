"""Small doubles of the six services: what their images hold, and the programs in them, which use real PostgreSQL."""
