"""Faces in pictures and videos, and what a model makes of them."""
