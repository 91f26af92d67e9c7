"""Published numbers beside ours: candid compare RECIPE. See docs/reproduce.md."""
