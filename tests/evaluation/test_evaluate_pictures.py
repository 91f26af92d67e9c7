"""Pictures: drawn for any predictions, without a warning, and equal bytes for equal inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from candid.errors import CandidError
from candid.evaluation import scores
from candid.evaluation.draw_confusion import leak_warning
from candid.evaluation.draw_curves import kept_epoch, read_history
from candid.evaluation.draw_mistakes import worst
from candid.evaluation.draw_roc import macro_curve
from candid.evaluation.leaks import Leaks
from candid.evaluation.outputs import write_pictures
from candid.evaluation.summary import Predictions, roc_areas, summarise

NAMES = ("confusion", "curves", "mistakes", "reliability", "roc")
HISTORY = pd.DataFrame(
    {
        "epoch": [1, 2],
        "loss": [1, 0.5],
        "accuracy": [0.5, 0.6],
        "val_loss": [1, 0.9],
        "val_accuracy": [0.4, np.nan],
    }
)


def predictions(classes: list[str], faces: int, seed: int = 0) -> Predictions:
    generator = np.random.default_rng(seed)
    actual = generator.integers(0, len(classes), faces)
    weights = generator.random((faces, len(classes))) + 2 * np.eye(len(classes))[actual] * generator.random(
        (faces, 1)
    )
    return Predictions(classes, actual, weights / weights.sum(axis=1, keepdims=True), np.arange(faces))


def draw(
    folder: Path, monkeypatch: pytest.MonkeyPatch, found: Predictions, leaked: int = 0, **more
) -> dict[str, bytes]:
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    mask = np.arange(len(found.actual)) < leaked
    summary = summarise(found, Leaks(mask, mask, mask), 100, 0)
    shape = (len(found.actual), 12, 12, *more.pop("channels", ()))
    images = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    write_pictures(
        found, summary, images, np.arange(len(images)), more.pop("history", HISTORY), more.pop("kept", 1)
    )
    return {name: Path(f"plots/{name}.png").read_bytes() for name in NAMES}


def test_equal_inputs_give_equal_bytes_whatever_matplotlib_was_told_before(tmp_path, monkeypatch):
    import matplotlib as mpl

    found = predictions(["angry", "happy", "sad"], 60)
    first = draw(tmp_path / "a", monkeypatch, found, leaked=5)
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        again = draw(tmp_path / "b", monkeypatch, found, leaked=5)
        assert mpl.rcParams["font.size"] == 30, "a notebook's own settings stay"
    assert again == first
    assert not any(word in content for content in first.values() for word in (b"Software", b"tEXt", b"tIME"))
    changed = draw(tmp_path / "c", monkeypatch, predictions(["angry", "happy", "sad"], 60, seed=1))
    assert all(changed[name] != first[name] for name in NAMES if name != "curves")


@pytest.mark.parametrize(
    "found",
    [
        predictions(["one"], 3),
        predictions(["a", "b"], 1),
        Predictions(["a", "b"], np.array([0, 0, 0]), np.array([[1.0, 0.0]] * 3), np.arange(3)),
        predictions(["$", "a very long name of a class indeed", "_{", "^"], 40),
        predictions([f"class {n}" for n in range(24)], 90),
    ],
    ids=["one class", "one face", "no mistake, never predicted", "odd names", "many classes"],
)
def test_odd_predictions_are_drawn_without_a_warning(tmp_path, monkeypatch, found):
    for name in draw(tmp_path, monkeypatch, found):
        with Image.open(f"plots/{name}.png") as picture:
            assert min(picture.size) > 200
            assert len(picture.convert("L").getcolors(256) or []) > 10, "something is drawn"


def test_colour_faces_and_a_history_without_validation(tmp_path, monkeypatch):
    history = HISTORY.assign(val_loss=np.nan, val_accuracy=np.nan, learning_rate=[0.1, 0.0])
    draw(
        tmp_path, monkeypatch, predictions(["a", "b"], 30), channels=(3,), history=history.iloc[:1], kept=None
    )


def test_the_most_confident_mistakes_come_first():
    probabilities = np.array([[0.9, 0.1], [0.3, 0.7], [0.2, 0.8], [0.6, 0.4], [0.2, 0.8]])
    found = Predictions(["a", "b"], np.array([0, 0, 0, 1, 0]), probabilities, np.arange(5))
    assert worst(found).tolist() == [2, 4, 1, 3]


def test_a_leak_is_said_in_the_picture_with_its_price():
    found = predictions(["a", "b"], 50)
    mask = np.arange(50) < 7
    assert leak_warning(summarise(found, Leaks(~mask & mask, mask & ~mask, ~mask & mask), 100, 0)) == ""
    text = leak_warning(summarise(found, Leaks(mask, mask, mask), 100, 0))
    assert "7 of these faces" in text
    assert "On the other 43 the accuracy is" in text
    assert "On the other" not in leak_warning(summarise(found, Leaks(mask | True, mask, mask), 100, 0))


def test_the_area_under_the_mean_curve_is_the_mean_area():
    found = predictions(["a", "b", "c"], 80)
    truth = np.arange(3) == found.actual[:, None]
    curves = [scores.roc_curve(truth[:, k], found.probabilities[:, k].round(1)) for k in range(3)]
    known = [curve for curve in curves if curve is not None]
    mean = macro_curve(known)
    areas = [np.trapezoid(curve.true_positive_rate, curve.false_positive_rate) for curve in known]
    assert np.trapezoid(mean.true_positive_rate, mean.false_positive_rate) == pytest.approx(np.mean(areas))
    rounded = Predictions(found.classes, found.actual, found.probabilities.round(1), found.groups)
    assert np.mean(areas) == pytest.approx(roc_areas(rounded).macro)


def test_history_with_gaps_and_the_epoch_that_was_kept(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text(
        "epoch,loss,accuracy,val_loss,val_accuracy,val_macro_f1\n1,2,.1,,,\n2,nan,.2,1.5,.3,.2\n3,1,.2,1.5,.4,.1\n"
    )
    history = read_history(path)
    assert history["val_loss"].isna().tolist() == [True, False, False]
    kept = {name: kept_epoch(history, name) for name in ("val_loss", "val_accuracy", "val_macro_f1", "other")}
    assert kept == {"val_loss": 2, "val_accuracy": 3, "val_macro_f1": 2, "other": None}
    path.write_text("epoch,loss,accuracy,val_loss,val_accuracy\n")
    with pytest.raises(CandidError, match="no epoch"):
        read_history(path)
