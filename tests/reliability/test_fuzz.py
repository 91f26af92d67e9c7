"""Garbled files and random settings give a right result or a CandidError, and nothing else.

Here with the same few hundred cases each time; `python benchmarks/fuzz.py` goes on for as long as it is told.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.reliability import fuzz

BOUNDED = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.mark.parametrize("law", fuzz.LAWS, ids=lambda law: law.__name__)
def test_nothing_but_a_result_or_a_line(law, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    BOUNDED(given(fuzz.LAWS[law])(law))()
