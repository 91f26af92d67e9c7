"""The report: one HTML page about a run, the model card, and CI's comment, from the same data."""
