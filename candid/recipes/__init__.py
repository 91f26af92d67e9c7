"""Recipes: what a paper did, as settings of the pipeline, and what it published. See docs/recipes.md."""

from candid.recipes.load import list_recipes, load_recipe
from candid.recipes.recipe import Confusion, Paper, Published, Recipe, Run

__all__ = ["Confusion", "Paper", "Published", "Recipe", "Run", "list_recipes", "load_recipe"]
