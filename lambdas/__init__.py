"""The five functions, each a thin handler, and what they share."""
