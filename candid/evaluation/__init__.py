"""Stage evaluate: how good the model is on faces it has never met, with intervals and pictures."""
