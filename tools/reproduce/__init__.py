"""A paper's experiments as DVC experiments: python -m tools.reproduce RECIPE. See docs/reproduce.md."""
