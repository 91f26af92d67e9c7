"""What each net's own section in params.yaml may hold, found without importing Keras.

The classes stand in candid/training/nets beside the nets, whose modules import Keras; that takes seconds and
fixes the backend. So the class statements alone are taken from the source.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from candid import settings
from candid.settings import Section

FOLDER = Path(settings.__file__).parent / "training" / "nets"
HARMLESS = ("typing", "pydantic", "candid.settings")
"""Modules that a settings class takes its names from."""


@dataclass(frozen=True)
class NetFacts:
    """What has to be known of a net to check a recipe."""

    settings: type[Section]
    smallest: int
    """Side in pixels of the smallest face it takes."""
    preset: str | None
    """keras-hub's name of its ImageNet weights; None where there are none."""


@cache
def nets() -> dict[str, NetFacts]:
    """The nets of candid/training/nets/registry.py by the name that model.arch takes."""
    trees = {path.name: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.py"))}
    known = _settings_classes(list(trees.values()))
    found: dict[str, NetFacts] = {}
    for node in trees["registry.py"].body:
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "NETS":
            assert isinstance(node.value, ast.Dict)
            for key, net in zip(node.value.keys, node.value.values, strict=True):
                assert key is not None
                assert isinstance(net, ast.Call)
                options = {option.arg: ast.literal_eval(option.value) for option in net.keywords}
                name = ast.literal_eval(key)
                kind = known[ast.unparse(net.args[0])]
                found[name] = NetFacts(kind, options.get("smallest", 8), options.get("preset"))
    return found


def _settings_classes(trees: list[ast.Module]) -> dict[str, type[Section]]:
    """Run the class statements that derive from Section, base classes first."""
    names: dict[str, Any] = {"__name__": __name__}
    waiting: list[ast.ClassDef] = []
    for tree in trees:
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module in HARMLESS:
                _execute(node, names)
            elif isinstance(node, ast.ClassDef):
                waiting.append(node)
    found: dict[str, type[Section]] = {}
    while ready := [node for node in waiting if _derives_from_section(node, names)]:
        for node in ready:
            _execute(node, names)
            found[node.name] = names[node.name]
            waiting.remove(node)
    return found


def _derives_from_section(node: ast.ClassDef, names: dict[str, Any]) -> bool:
    bases = [names.get(ast.unparse(base)) for base in node.bases]
    return bool(bases) and all(isinstance(base, type) and issubclass(base, Section) for base in bases)


def _execute(node: ast.stmt, names: dict[str, Any]) -> None:
    # dont_inherit: without this file's __future__, pydantic gets annotations as objects, not as text
    # that it would look up in a module.
    exec(compile(ast.Module([node], []), str(FOLDER), "exec", dont_inherit=True), names)
