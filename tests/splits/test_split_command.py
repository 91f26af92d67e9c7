"""python -m stages.split, as dvc runs it."""

import json

import pandas as pd
import pytest

from candid.files import write_csv
from candid.settings import PARAMS, check, read_section
from candid.splits.params import SplitSettings
from tests.splits.split_tables import tables

OFFICIAL = "{train: [train], validation: [validation], test: [test]}"
SECTION = """split:
  {protocol: %s, ratios: %s, official: %s, groups: [subject], folds: 10, fold: %s, repeat: 0, seed: 0}
"""


def prepare(folder, text):
    faces, kept = tables(["happy"] * 300 + ["sad"] * 100, subject=[f"s{i // 2}" for i in range(400)])
    write_csv(folder / "data/faces.csv", faces)
    write_csv(folder / "data/kept.csv", kept)
    (folder / "params.yaml").write_text(text, encoding="utf-8")


def test_the_stage_writes_its_table_and_metrics_and_again_the_same(run_stage, tmp_path):
    prepare(tmp_path, SECTION % ("random", "[0.8, 0.1, 0.1]", OFFICIAL, 0))
    first = run_stage("stages.split", PYTHONHASHSEED="1")
    assert (first.returncode, first.stderr) == (0, "")
    splits = pd.read_csv(tmp_path / "data/splits.csv")
    assert list(splits) == ["id", "label", "part", "group"]
    metrics = json.loads((tmp_path / "metrics/split.json").read_text())
    assert metrics["faces"] == 400
    assert metrics["train"]["faces"] == (splits["part"] == "train").sum() == 320
    assert metrics["leaky"] is False
    before = (tmp_path / "data/splits.csv").read_bytes()
    run_stage("stages.split", PYTHONHASHSEED="2")
    assert (tmp_path / "data/splits.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (("random", "[0.9, 0.05, 0.1]", OFFICIAL, 0), ["split.ratios", "sum to 1", "1.05"]),
        (("random", "[1.0, 0.0, 0.0]", OFFICIAL, 0), ["split.ratios.0"]),
        (("random", "[0.9, 0.1]", OFFICIAL, 0), ["split.ratios"]),
        (("folds", "[0.9, 0.05, 0.05]", OFFICIAL, 10), ["split.fold", "10", "0 to 9"]),
        (("halves", "[0.9, 0.05, 0.05]", OFFICIAL, 0), ["split.protocol", "'random', 'official' or 'folds'"]),
        (
            ("random", "[0.9, 0.05, 0.05]", "{train: [train], validation: [], test: [train]}", 0),
            ["split.official.test", "both have train"],
        ),
    ],
)
def test_wrong_settings_end_in_one_line(run_stage, tmp_path, values, words):
    prepare(tmp_path, SECTION % values)
    done = run_stage("stages.split")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert all(word in done.stderr for word in words), done.stderr
    assert not (tmp_path / "data/splits.csv").exists()


def test_a_tested_part_that_dedup_has_thinned_is_told(run_stage, tmp_path):
    faces, kept = tables(["happy"] * 40, part=["train"] * 20 + ["validation"] * 20)
    kept.loc[20, "kept"] = False
    kept.loc[20, "reason"] = "copy of 3"
    official = "{train: [train], validation: [], test: [validation]}"
    (tmp_path / "params.yaml").write_text(SECTION % ("official", "[0.8, 0.1, 0.1]", official, 0))
    write_csv(tmp_path / "data/faces.csv", faces)
    write_csv(tmp_path / "data/kept.csv", kept)
    done = run_stage("stages.split")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\n") == 1
    assert "faces removed as copies: 1 of the published parts that are tested" in done.stderr


def test_thirds_and_ratios_from_a_shell_are_taken(request):
    section = read_section("split", SplitSettings, request.config.rootpath / PARAMS).model_dump()
    for ratios in ([0.3333333, 0.3333333, 0.3333333], [0.7, 0.2, 0.1], [0.999998, 1e-06, 1e-06]):
        assert check("split", SplitSettings, {**section, "ratios": ratios}).ratios == ratios


def test_the_stage_stays_light_to_start(run_stage, tmp_path):
    heavy = ("sklearn", "scipy", "keras", "PIL", "numba")
    code = f"import sys, stages.split; print([m for m in {heavy} if m in sys.modules])"
    (tmp_path / "show.py").write_text(code)
    assert run_stage("show").stdout.strip() == "[]"
