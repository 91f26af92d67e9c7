"""Published numbers beside ours: python -m tools.compare RECIPE. See docs/reproduce.md."""
