"""Recipes: what a paper did, as settings of the pipeline, and what it published. See docs/recipes.md."""
