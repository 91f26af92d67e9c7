"""A paper's experiments as DVC experiments: candid reproduce RECIPE. See docs/reproduce.md."""
