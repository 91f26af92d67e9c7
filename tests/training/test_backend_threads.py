"""The threads that sums are divided over are part of what a result is known by."""

from __future__ import annotations

import pytest

from candid.backend import threads
from candid.evaluation.provenance import provenance

ASKED = "TF_NUM_INTRAOP_THREADS"


@pytest.mark.parametrize(("asked", "found"), [("3", 3), ("0", 5), ("many", 5), (None, 5)])
def test_threads_are_those_asked_for_else_the_cores(monkeypatch, asked, found):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(5)), raising=False)
    monkeypatch.delenv(ASKED, raising=False)
    if asked is not None:
        monkeypatch.setenv(ASKED, asked)
    assert threads() == found


def test_provenance_tells_them(monkeypatch):
    monkeypatch.setenv(ASKED, "3")
    assert provenance("tensorflow", [], {}, [])["device"]["threads"] == 3
