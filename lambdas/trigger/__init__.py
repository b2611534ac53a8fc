"""A push event becomes build requests."""
