"""Where the sets of benchmarks and GPU runs are made."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu import sets
from benchmarks.gpu.runs import Run
from stages.settings import read_yaml

CALL = sets._call


def test_a_set_is_made_in_a_folder_given_relative_to_where_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With git as it is, and in place of DVC what it leaves behind."""
    made: list[Any] = []

    def call(*command: str, folder: Path) -> None:
        if "dvc" not in command:
            CALL(*command, folder=folder)
            return
        made.append(read_yaml(folder / "params.yaml")["split"]["seed"])
        (folder / "data/class_weights.json").write_text("{}")

    monkeypatch.setattr(sets, "_call", call)
    monkeypatch.chdir(tmp_path)
    params = copy.deepcopy(read_yaml(sets.ROOT / "params.yaml"))
    params["split"]["seed"] = 7
    one = Run("one", params, ["none"])
    found = sets.prepare(one, Path("home/sets"))
    assert (tmp_path / "home/sets" / one.data / "data/class_weights.json").samefile(
        found / "data/class_weights.json"
    )
    assert {path.name for path in (tmp_path / "home/sets").iterdir()} == {"clone", one.data}
    sets.prepare(one, Path("home/sets"))
    assert made == [7], "what is there is not made again"
