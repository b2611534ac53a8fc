"""The six functions, each a thin handler, and what they share."""
