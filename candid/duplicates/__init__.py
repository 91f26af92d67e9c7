"""Stage `dedup`: exact and near-duplicate faces, found before the split."""
