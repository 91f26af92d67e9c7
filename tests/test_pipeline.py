"""dvc.yaml, params.yaml and the code say the same thing."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from stages.settings import read_yaml

ROOT = Path(__file__).resolve().parent.parent
PIPELINE = read_yaml(ROOT / "dvc.yaml")
PARAMS = read_yaml(ROOT / "params.yaml")
STAGES: dict[str, dict[str, Any]] = PIPELINE["stages"]
HEAVY = {"tensorflow", "keras", "keras_hub", "jax", "torch"}


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@cache
def shared_files(path: Path) -> frozenset[str]:
    """Shared files (stages/*.py) that a file imports, and those that they import in turn."""
    found: set[str] = set()
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "stages" and len(parts) > 1 and (ROOT / "stages" / f"{parts[1]}.py").is_file():
            found |= {f"stages/{parts[1]}.py"} | shared_files(ROOT / "stages" / f"{parts[1]}.py")
    return frozenset(found)


def sources(stage: str) -> list[Path]:
    return sorted((ROOT / "stages" / stage).rglob("*.py"))


def outputs(stage: dict[str, Any]) -> set[str]:
    entries = [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}


def test_the_stages_are_the_folders_in_the_order_of_the_design():
    assert list(STAGES) == ["download", "ingest", "dedup", "split", "class_weights", "train", "evaluate"]
    folders = {path.parent.name for path in (ROOT / "stages").glob("*/__main__.py")}
    assert folders == set(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_the_command_is_the_stage(stage):
    assert STAGES[stage]["cmd"] == f"python -m stages.{stage}"


@pytest.mark.parametrize("stage", STAGES)
def test_code_dependencies_are_the_imports(stage):
    wanted = {f"stages/{stage}"}.union(*(shared_files(path) for path in sources(stage)))
    if "stages/catalogue.py" in wanted:
        wanted.add("stages/catalogue.yaml")
    assert {dep for dep in STAGES[stage]["deps"] if dep.startswith("stages/")} == wanted


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_imports_another(stage):
    others = {f"stages.{other}" for other in STAGES if other != stage}
    for path in sources(stage):
        for name in imports(path):
            assert ".".join(name.split(".")[:2]) not in others, f"{path} imports {name}"


@pytest.mark.parametrize("stage", sorted(set(STAGES) - {"train", "evaluate"}))
def test_tensorflow_stays_in_train_and_evaluate(stage):
    for path in sources(stage):
        assert not {name.split(".")[0] for name in imports(path)} & HEAVY, path


@pytest.mark.parametrize("stage", STAGES)
def test_data_dependencies_are_outputs_of_earlier_stages(stage):
    earlier: set[str] = set()
    for name, entry in STAGES.items():
        if name == stage:
            break
        earlier |= outputs(entry)
    data = {dep for dep in STAGES[stage]["deps"] if not dep.startswith(("stages/", "$"))}
    assert data <= earlier


@pytest.mark.parametrize("stage", STAGES)
def test_sections_read_are_sections_declared(stage):
    declared = {re.split(r"[.$]", name)[0] for name in STAGES[stage]["params"]}
    text = "".join(path.read_text(encoding="utf-8") for path in sources(stage))
    read = {name.split(".")[0] for name in re.findall(r'read_section\(\s*f?"([a-z_.]+)', text)}
    assert read == declared
    assert declared <= set(PARAMS)


def written(stage: str) -> dict[str, dict[str, Any]]:
    """Path -> options of all that a stage writes."""
    declared = STAGES[stage]
    entries = [*declared.get("outs", []), *declared.get("metrics", []), *declared.get("plots", [])]
    return dict(next(iter(entry.items())) if isinstance(entry, dict) else (entry, {}) for entry in entries)


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
    for entry in [*STAGES["train"].get("outs", []), *STAGES["train"].get("plots", [])]:
        if isinstance(entry, dict):
            assert next(iter(entry.values())).get("cache", True) is True
