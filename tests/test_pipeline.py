"""dvc.yaml, params.yaml and the code say the same thing."""

from __future__ import annotations

import ast
import re
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from candid.settings import read_yaml

ROOT = Path(__file__).resolve().parent.parent
PIPELINE = read_yaml(ROOT / "dvc.yaml")
PARAMS = read_yaml(ROOT / "params.yaml")
STAGES: dict[str, dict[str, Any]] = PIPELINE["stages"]
HEAVY = {"tensorflow", "keras", "keras_hub", "jax", "torch"}
WORDING = {"candid/errors.py", "candid/text.py", "candid/html.py", "candid/sections.py"}
"""Modules that decide what is printed or refused, not what is written; what they import counts no more."""
BESIDE = {"candid/data/catalogue.py": "candid/data/catalogue.yaml"}
"""Data files that a module reads from its own folder."""


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@cache
def modules(path: Path) -> frozenset[Path]:
    """The modules of candid/ that a file imports, those that they import in turn, and no empty package."""
    reached: set[Path] = set()
    queue = [path]
    while queue:
        for name in imports(queue.pop()):
            base = ROOT / name.replace(".", "/")
            for module in (base.with_suffix(".py"), base / "__init__.py"):
                known = module in reached or str(module.relative_to(ROOT)) in WORDING
                if name.startswith("candid") and module.is_file() and not known:
                    reached.add(module)
                    queue.append(module)
    return frozenset(module for module in reached if imports(module) or module.name != "__init__.py")


def stage_file(stage: str) -> Path:
    return ROOT / "stages" / f"{stage}.py"


def relative(paths: frozenset[Path]) -> set[str]:
    return {str(path.relative_to(ROOT)) for path in paths}


def written(stage: str) -> dict[str, dict[str, Any]]:
    """Path -> options of all that a stage writes."""
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in STAGES[stage].get(kind, [])]
    return dict(next(iter(entry.items())) if isinstance(entry, dict) else (entry, {}) for entry in entries)


def test_the_stages_are_the_files_in_the_order_of_the_design():
    assert list(STAGES) == ["download", "ingest", "dedup", "split", "class_weights", "train", "evaluate"]
    assert {path.stem for path in (ROOT / "stages").glob("*.py")} == set(STAGES)
    assert [stage["cmd"] for stage in STAGES.values()] == [f"python -m stages.{name}" for name in STAGES]


@pytest.mark.parametrize("stage", STAGES)
def test_code_dependencies_are_the_modules_that_decide_the_result(stage):
    reached = relative(modules(stage_file(stage)))
    wanted = {f"stages/{stage}.py", *reached, *(BESIDE[path] for path in reached if path in BESIDE)}
    declared = {dep for dep in STAGES[stage]["deps"] if dep.startswith(("stages/", "candid/"))}
    assert declared == wanted


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_imports_another(stage):
    assert not {name for name in imports(stage_file(stage)) if name.startswith("stages")}


@pytest.mark.parametrize("stage", sorted(set(STAGES) - {"train", "evaluate"}))
def test_tensorflow_stays_in_train_and_evaluate(stage):
    for path in (stage_file(stage), *modules(stage_file(stage))):
        assert not {name.split(".")[0] for name in imports(path)} & HEAVY, path


@pytest.mark.parametrize("stage", STAGES)
def test_data_dependencies_are_outputs_of_earlier_stages(stage):
    earlier = {"data/sample.zip", "data/own"} if stage == "download" else set()
    for name in takewhile(lambda name: name != stage, STAGES):
        earlier |= written(name).keys()
    data = {dep for dep in STAGES[stage]["deps"] if not dep.startswith(("stages/", "candid/"))}
    assert data <= earlier


@pytest.mark.parametrize("stage", STAGES)
def test_sections_read_are_sections_declared(stage):
    declared = {re.split(r"[.$]", name)[0] for name in STAGES[stage]["params"]}
    sources = [stage_file(stage), *modules(stage_file(stage))]
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    read = {name.split(".")[0] for name in re.findall(r'read_section\(\s*f?"([a-z_.]+)', text)}
    assert read == declared
    assert declared <= set(PARAMS)


def test_scores_and_plots_in_git_are_persistent_so_that_a_failed_evaluation_loses_nothing():
    for path, options in written("evaluate").items():
        if options.get("cache") is False:
            assert options.get("persist") is True, path


@pytest.mark.parametrize("stage", [name for name in STAGES if name != "evaluate"])
def test_stages_before_come_back_from_the_run_cache(stage):
    """DVC's cache of runs passes over every stage that has a persistent output."""
    for path, options in written(stage).items():
        assert not options.get("persist"), path


def test_train_is_cached_whole_so_that_an_earlier_net_comes_back_in_seconds():
    assert all(options.get("cache", True) is True for options in written("train").values())
