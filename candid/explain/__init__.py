"""Where a model looks, and what its first layers make of a face."""
