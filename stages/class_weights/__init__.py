"""Stage class_weights: how much a training face of each class counts. Makes data/class_weights.json."""
