"""The pipeline's stages, one folder each, in the order of dvc.yaml."""
