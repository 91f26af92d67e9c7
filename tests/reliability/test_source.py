"""What the code itself rules out: draws without a seed, and loading in which data can name code to run."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.reliability.tiny import ROOT

SHIPPED = sorted(path for folder in ("stages", "tools") for path in (ROOT / folder).rglob("*.py"))
SEEDED = {"default_rng", "Generator", "SeedSequence", "PCG64", "RandomState"}
"""What may be used of numpy.random, with a seed as its first argument."""
RUNS_DATA = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve"}


def calls(tree: ast.AST) -> Iterator[tuple[list[str], ast.Call]]:
    """Each call with the dotted name of what is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name, called = [], node.func
            while isinstance(called, ast.Attribute):
                name.append(called.attr)
                called = called.value
            if isinstance(called, ast.Name):
                name.append(called.id)
            yield name[::-1], node


def imports(tree: ast.AST) -> set[str]:
    """Top names of the modules that are imported."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def given(call: ast.Call, name: str) -> object:
    """The constant that a keyword has; None where it isn't there."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value.value if isinstance(keyword.value, ast.Constant) else "no constant"
    return None


def unseeded(name: list[str], call: ast.Call) -> bool:
    if name[:2] in (["np", "random"], ["numpy", "random"]):
        return name[2] not in SEEDED or not call.args
    return name[:2] in (["tf", "random"], ["torch", "rand"], ["uuid", "uuid4"], ["os", "urandom"])


def runs_data(name: list[str], call: ast.Call) -> bool:
    if name[-1:] == ["load_model"] and name[0] == "keras":
        return given(call, "safe_mode") is not True
    if name in (["eval"], ["exec"], ["__import__"], ["os", "system"], ["yaml", "load"]):
        return True
    if name == ["YAML"] and given(call, "typ") not in (None, "safe"):  # by default it keeps comments, safely
        return True
    return given(call, "allow_pickle") not in (None, False) or given(call, "shell") not in (None, False)


def test_no_draw_is_without_a_seed_and_no_data_is_run() -> None:
    for path in SHIPPED:
        where = path.relative_to(ROOT).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert not imports(tree) & {"random", "secrets", *RUNS_DATA}, where
        for name, call in calls(tree):
            told = f"{where}:{call.lineno}: {'.'.join(name)}"
            assert not unseeded(name, call), told
            if (path.name, name) != (
                "nets.py",
                ["exec"],
            ):  # the settings classes in this project's own source
                assert not runs_data(name, call), told


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("np.random.default_rng()", unseeded),
        ("np.random.shuffle(x)", unseeded),
        ("tf.random.normal((3,))", unseeded),
        ("keras.models.load_model(path)", runs_data),
        ("keras.saving.load_model(path, safe_mode=False)", runs_data),
        ("np.load(path, allow_pickle=True)", runs_data),
        ("YAML(typ='unsafe').load(text)", runs_data),
        ("subprocess.run(words, shell=True)", runs_data),
        ("eval(text)", runs_data),
    ],
)
def test_it_would_be_seen(line: str, wrong) -> None:
    assert any(wrong(name, call) for name, call in calls(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    ["np.random.default_rng(seed)", "np.load(path, allow_pickle=False)", "YAML(typ='safe', pure=True)"],
)
def test_what_is_right_is_let_be(line: str) -> None:
    assert not any(unseeded(*each) or runs_data(*each) for each in calls(ast.parse(line)))
