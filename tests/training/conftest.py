"""Keras on TensorFlow for every test here, before any of them imports it."""

from __future__ import annotations

import pytest

from candid.backend import use_backend

use_backend("tensorflow")


def pytest_configure(config: pytest.Config) -> None:
    """Let pass what Keras itself does with TensorFlow's variables."""
    config.addinivalue_line(
        "filterwarnings", "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
    )
