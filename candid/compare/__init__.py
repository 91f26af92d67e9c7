"""Published numbers beside ours: candid compare RECIPE, `compare(RECIPE)`. See docs/reproduce.md."""

from candid.compare.table import compare

__all__ = ["compare"]
