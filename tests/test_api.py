"""What `import candid` offers, by name; the examples in the docstrings run."""

from __future__ import annotations

import doctest
import importlib

import pytest

import candid


@pytest.mark.parametrize("name", sorted(candid._API))
def test_each_function_is_there_and_its_example_runs(name):
    function = getattr(candid, name)
    module = importlib.import_module(function.__module__)
    examples = [test for test in doctest.DocTestFinder().find(function, function.__name__) if test.examples]
    assert examples, f"{name} has no example"
    for example in examples:
        example.globs.update(vars(module))
        assert doctest.DocTestRunner().run(example).failed == 0


def test_another_name_is_an_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        candid.nothing  # noqa: B018
