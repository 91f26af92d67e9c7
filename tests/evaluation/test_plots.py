"""Pictures and their tables: drawn for any predictions, without a warning, equal bytes for equal inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn import metrics as sk

from candid.evaluation.plots import (
    calibration_table,
    leak_warning,
    read_history,
    roc_curves,
    roc_table,
    worst,
    write_plots,
)
from candid.evaluation.predictions import as_predictions, with_predictions
from candid.evaluation.report import evaluate
from tests.evaluation.test_evaluate import PICTURES

HISTORY = pd.DataFrame({"epoch": [1, 2], "loss": [1, 0.5], "accuracy": [0.5, 0.6], "val_loss": [1, 0.9]})
HISTORY = HISTORY.assign(val_accuracy=[0.4, np.nan], val_macro_f1=[0.3, 0.4])


def predictions(classes: list[str], faces: int, seed: int = 0, **columns: Any) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    actual = generator.integers(0, len(classes), faces)
    right = 2 * np.eye(len(classes))[actual]
    weights = generator.random((faces, len(classes))) + right * generator.random((faces, 1))
    test = pd.DataFrame({"id": np.arange(faces), "actual": np.array(classes, object)[actual]})
    return with_predictions(test.assign(**columns), classes, weights / weights.sum(axis=1, keepdims=True))


def draw(folder: Path, table: pd.DataFrame, channels: tuple[int, ...] = (), **more: Any) -> dict[str, bytes]:
    shape = (len(table), 12, 12, *channels)
    images = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    history, best = more.get("history", HISTORY), more.get("best_epoch", 1)
    splits = pd.DataFrame({"label": table["actual"], "part": "test"})
    write_plots(table, evaluate(table, 100), images, history, best, splits, folder)
    names = [*(f"{name}.png" for name in PICTURES), "roc.csv", "calibration.csv"]
    return {name: (folder / name).read_bytes() for name in names}


def test_equal_inputs_give_equal_bytes_whatever_matplotlib_is_set_to(tmp_path):
    import matplotlib as mpl

    table = predictions(["angry", "happy", "sad"], 60, leaked=np.arange(60) < 5)
    first = draw(tmp_path / "a", table)
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        again = draw(tmp_path / "b", table)
        assert mpl.rcParams["font.size"] == 30, "a notebook's own settings stay"
    assert again == first
    assert not any(word in content for content in first.values() for word in (b"Software", b"tEXt", b"tIME"))
    changed = draw(tmp_path / "c", predictions(["angry", "happy", "sad"], 60, seed=1))
    assert {name for name in first if changed[name] == first[name]} == {"curves.png"}


ODD_NAMES = ["$", "a very long name of a class indeed", "_{", "^", "\u5fc3", "macro"]
CERTAIN = pd.DataFrame({"id": [0, 1, 2], "actual": "a", "p_a": 1.0, "p_b": 0.0})


@pytest.mark.parametrize(
    "table",
    [
        predictions(["one"], 3),
        predictions(["a", "b"], 1),
        CERTAIN,
        predictions([*ODD_NAMES, *(f"class {n}" for n in range(18))], 90),
    ],
    ids=["one class", "one face", "no mistake, never predicted", "many classes of odd names"],
)
def test_odd_predictions_are_drawn_without_a_warning(tmp_path, table):
    draw(tmp_path, table)
    for name in PICTURES:
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert min(picture.size) > 200
            assert len(picture.convert("L").getcolors(256) or []) > 10, "something is drawn"


def test_colour_faces_and_a_history_without_validation(tmp_path):
    history = HISTORY.assign(val_loss=np.nan, val_accuracy=np.nan, learning_rate=[0.1, 0.0])
    draw(tmp_path, predictions(["a", "b"], 30), (3,), history=history.iloc[:1], best_epoch=None)


def test_the_most_confident_mistakes_come_first():
    table = pd.DataFrame({"actual": ["a", "a", "a", "b", "a"], "p_a": [0.9, 0.3, 0.2, 0.6, 0.2]})
    assert worst(as_predictions(table.assign(p_b=1 - table["p_a"]))).tolist() == [2, 4, 1, 3]


def test_a_leak_stands_in_the_picture_with_its_price():
    def warning(**columns: Any) -> str:
        return leak_warning(evaluate(predictions(["a", "b"], 50, **columns), 100))

    assert warning() == ""
    text = warning(leaked=np.arange(50) < 7)
    assert "7 of these faces" in text
    assert "On the other 43 the accuracy is" in text
    assert "On the other" not in warning(leaked=True)


def test_curves_are_those_of_scikit_learn_and_their_mean():
    table = as_predictions(predictions(["a", "b", "c"], 80))
    curves = roc_curves(table)
    assert list(curves) == ["p_a", "p_b", "p_c", "macro", "micro"]
    areas = {name: sk.auc(*curve) for name, curve in curves.items()}
    assert areas["p_b"] == pytest.approx(sk.roc_auc_score(table.actual == 1, table.probabilities[:, 1]))
    assert areas["macro"] == pytest.approx(np.mean([areas[f"p_{name}"] for name in "abc"]), abs=0.003)
    columns = roc_table(table)
    assert list(columns) == ["false_positive_rate", *curves]
    assert columns["false_positive_rate"].tolist() == [step / 100 for step in range(101)]
    bins = calibration_table(table)
    assert bins["faces"].sum() == 80
    right = (bins["accuracy"] * bins["faces"]).sum()
    assert right == pytest.approx((table.predicted == table.actual).sum(), abs=1e-3)


def test_history_with_gaps(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("epoch,loss,accuracy,val_loss,val_accuracy\n1,2,.1,,\n2,nan,.2,1.5,.3\n")
    assert read_history(path)["val_loss"].isna().tolist() == [True, False]
