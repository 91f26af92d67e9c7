"""One server of forked stages for all tests here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.reliability.forked import Forked


@pytest.fixture(scope="session")
def forked() -> Iterator[Forked]:
    """What runs a stage in a few hundredths of a second."""
    with Forked() as server:
        yield server
