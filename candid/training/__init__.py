"""Trains one net on the training part and keeps the epoch that is best on the validation part."""
