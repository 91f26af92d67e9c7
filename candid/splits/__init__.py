"""Which face trains, validates, tests, and how much a class weighs."""
