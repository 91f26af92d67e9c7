"""Keras on TensorFlow for every test here, before any of them imports it."""

from candid.backend import use_backend

use_backend("tensorflow")
