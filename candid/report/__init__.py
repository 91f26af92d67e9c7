"""The report: one HTML page a person reads about a run, and the model card from the same data."""
