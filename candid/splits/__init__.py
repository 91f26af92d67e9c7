"""Stage split: which kept face trains, validates, tests. Makes data/splits.csv and metrics/split.json."""
