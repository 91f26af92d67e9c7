"""Exact and near-duplicate images: `find_duplicates`, and what is done about them before the split."""
