"""Find exact copies, near-duplicates and conflicting labels in any set of images, without the pipeline."""
