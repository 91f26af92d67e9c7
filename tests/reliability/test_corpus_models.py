"""Models that are wrong in what Keras would build, for evaluate and to start training from: one line each."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.data.made import folder
from tests.predict.tiny_model import change
from tests.reliability.corpus_models import HISTORY
from tests.reliability.tiny import EARLIER, files_at, outputs, run_stage, write_params

WEIGHTS, CONFIG = "model.weights.h5", "config.json"
HARM = b"import pathlib\npathlib.Path('harm').touch()\nclass Layer:\n    pass\n"
Make = Callable[[Path], bytes]


def rewritten(models: Path, entry: str, content: bytes) -> bytes:
    """The bytes of the right model with another content of one entry."""
    copy = Path(shutil.copy(models / "right.keras", models / "rewritten"))
    return change(copy, {entry: content}).read_bytes()


def entry(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as source:
        return source.read(name)


def as_it_is(name: str) -> Make:
    return lambda models: (models / f"{name}.keras").read_bytes()


def other_weights(name: str) -> Make:
    """A right model with the weights of another."""
    return lambda models: rewritten(models, WEIGHTS, entry(models / f"{name}.keras", WEIGHTS))


def changed_weights(alter: Callable[[bytes], bytes]) -> Make:
    return lambda models: rewritten(models, WEIGHTS, alter(entry(models / "right.keras", WEIGHTS)))


def changed_config(old: bytes, new: bytes) -> Make:
    def make(models: Path) -> bytes:
        config = entry(models / "right.keras", CONFIG)
        assert old in config
        return rewritten(models, CONFIG, config.replace(old, new))

    return make


def empty_weights(models: Path) -> bytes:
    return rewritten(models, WEIGHTS, (models / "empty.h5").read_bytes())


EVALUATE: dict[str, tuple[Make, str]] = {
    "of larger faces": (as_it_is("larger"), "takes 32 x 32 px"),
    "of colours": (as_it_is("coloured"), "a model of grey faces"),
    "of four classes": (as_it_is("four"), "gives (None, 4)"),
    "without softmax": (as_it_is("unbounded"), "expected probabilities that add up to 1"),
    "of NaN": (as_it_is("nan"), "expected probabilities that add up to 1"),
    "of two inputs": (as_it_is("two_inputs"), "models/model.keras"),
    "with another net's weights": (other_weights("four"), "Keras can't load it"),
    "with weights cut short": (changed_weights(lambda data: data[: len(data) // 2]), "model.weights.h5: "),
    "with no weights": (empty_weights, "its layers have 1,731 weights"),
    "with an unknown layer": (changed_config(b'"Dense"', b'"Danse"'), "keras.layers.Danse"),
    "with impossible units": (changed_config(b'"units": 3', b'"units": -3'), "is not the configuration"),
}
TRAIN: dict[str, tuple[Make, str]] = {
    "that is text": (lambda models: b"weights\n" * 99, "not a .keras file"),
    "of another net": (as_it_is("right"), "expected a model of the same model.arch"),
    "with weights cut short": (changed_weights(lambda data: data[:900]), "its layers have 1,731 weights"),
    "with a module beside it": (changed_config(b'"keras.layers"', b'"harmful"'), "holds 'harmful."),
}


@pytest.mark.parametrize("name", EVALUATE)
def test_evaluate_says_what_is_wrong(name, undisturbed, models, tmp_path):
    make, words = EVALUATE[name]
    project = undisturbed.before("evaluate", tmp_path / "project")
    files = {"models/model.keras": make(models), "plots/history.csv": HISTORY.encode()}
    folder(project, files | {"metrics/report.json": EARLIER})
    done = run_stage("evaluate", project)
    assert done.status == 1, done.out + done.err
    assert words in done.line()
    assert files_at(project, outputs("evaluate")) == {"metrics/report.json": EARLIER}


@pytest.mark.parametrize("name", TRAIN)
def test_train_says_what_is_wrong_with_the_earlier_model(name, undisturbed, models, tmp_path):
    make, words = TRAIN[name]
    project = undisturbed.before("train", tmp_path / "project")
    (project / "harmful.py").write_bytes(HARM)
    (project / "earlier.keras").write_bytes(make(models))
    write_params(project, model={"weights": "earlier.keras"})
    done = run_stage("train", project)
    assert done.status == 1, done.out + done.err
    assert words in done.line()
    assert "earlier.keras" in done.line()
    assert not (project / "harm").exists()
    assert files_at(project, outputs("train")) == {}
