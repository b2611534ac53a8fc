"""A host's word that it is idle becomes a stop."""
