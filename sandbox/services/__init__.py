"""Small doubles of the six services: what their images hold and what runs in them against real PostgreSQL."""
