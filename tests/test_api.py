"""What `import candid` offers, by name; the examples in the docstrings run."""

from __future__ import annotations

import doctest
import importlib

import pytest

from tests.conftest import REPOSITORY, python

MODULES = [
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
    for path in sorted((REPOSITORY / "candid").rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_the_docstrings_run(module, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    tested = doctest.testmod(importlib.import_module(module))
    assert tested.attempted > tested.failed == 0


def test_each_function_has_an_example_and_loads_what_it_uses(tmp_path):
    """In a process of its own, since other tests import more."""
    code = """if True:
        import sys, candid
        assert "numpy" not in sys.modules
        for name in candid._API:
            assert name in dir(candid) and ">>> " in getattr(candid, name).__doc__, name
            assert name == "predict_faces" or not {"tensorflow", "keras"} & sys.modules.keys()
        candid.nothing
    """
    done = python(code, tmp_path)
    assert done.stderr.splitlines()[-1] == "AttributeError: module 'candid' has no attribute 'nothing'"
