"""Trains one net on the training set and keeps the epoch that is best on the validation set."""
