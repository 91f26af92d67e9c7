"""A local page to try a model with: upload or camera in, boxes and bars out."""
