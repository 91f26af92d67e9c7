"""Exports: what stands in the folder is Keras's model, and the table says what int8 costs."""

from __future__ import annotations

import dataclasses
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from candid.data.faces import load_images
from candid.errors import CandidError
from candid.evaluation.predict import predict
from candid.evaluation.predictions import Predictions
from candid.export import command, onnx
from candid.export.command import FORMATS, load, main
from candid.labelled import as_taken, read_parts, read_sample
from candid.predict.classifier import load_classifier
from tests.predict.tiny_model import CLASSES, SIZE

FILES = ("model.onnx", "model.int8.onnx", "model.tflite", "model.int8.tflite")


def skip_without(*names: str) -> None:
    for name in names:
        try:
            command.need(name)
        except CandidError as error:
            pytest.skip(str(error))


@pytest.fixture
def out(trained, run_stage) -> tuple[Path, str]:
    """The folder that the command fills in both formats, float and int8, and what it prints; made once."""
    skip_without("onnx", "litert")
    folder = trained / "exported"
    if not folder.exists():
        arguments = ["--model", trained / "models/model.keras", "--data", trained / "data", "--out", folder]
        done = run_stage("candid", "export", *map(str, arguments), "--to", "onnx", "litert", "--int8")
        assert done.returncode == 0, done.stderr
        (folder.parent / "printed.txt").write_text(done.stdout)
    return folder, (folder.parent / "printed.txt").read_text()


def test_every_export_says_what_it_is_and_how_to_feed_it(out):
    import onnx
    import onnxruntime

    folder, printed = out
    assert {path.name for path in folder.iterdir()} == {*FILES, *(f"{name}.json" for name in FILES)}
    for row in ("Keras", "onnx float32", "onnx int8", "litert float32", "litert int8"):
        assert f"\n{row} " in printed
    assert "45 test faces of " in printed
    for name in FILES:
        about = json.loads((folder / f"{name}.json").read_text())
        assert about["classes"] == list(CLASSES)
        assert about["input"] == {"dtype": "uint8", "shape": [None, SIZE, SIZE, 1], "color": "grey"}
        assert about["precision"] == ("int8" if "int8" in name else "float32")
        assert about["bytes"] == (folder / name).stat().st_size
    for mark in ("", ".int8"):
        props = {item.key: item.value for item in onnx.load(folder / f"model{mark}.onnx").metadata_props}
        assert json.loads(props["candid.json"])["classes"] == list(CLASSES)
        with zipfile.ZipFile(folder / f"model{mark}.tflite") as archive:
            assert json.loads(archive.read("candid.json"))["classes"] == list(CLASSES)
        source = onnxruntime.InferenceSession(folder / f"model{mark}.onnx").get_inputs()[0]
        assert (source.type, source.shape[1:]) == ("tensor(uint8)", [SIZE, SIZE, 1])
    assert (folder / "model.int8.tflite").stat().st_size < (folder / "model.tflite").stat().st_size


@pytest.mark.parametrize("name", FORMATS)
def test_the_exports_give_what_keras_gives(out, trained, name):
    classifier, form = load_classifier(trained / "models/model.keras"), FORMATS[name]
    images = np.asarray(load_images(trained / "data/faces.npy"))
    expected = predict(classifier.model, images, np.arange(len(images)), "none")
    faces = as_taken(images, classifier.model.input_shape)
    plain, int8 = (command.attempt("load", form.load, out[0] / f"model{mark}{form.SUFFIX}")(faces)
                   for mark in ("", ".int8"))  # fmt: skip
    assert np.abs(plain - expected).max() <= 1e-4
    assert 0 < np.abs(int8 - expected).max() < 0.1


def test_a_float_export_that_differs_is_not_kept(out, trained, monkeypatch, tmp_path):
    right = onnx.load
    monkeypatch.setattr(onnx, "write", lambda _, path: shutil.copy(out[0] / "model.onnx", path))
    monkeypatch.setattr(onnx, "load", lambda path: lambda faces: right(path)(faces)[:, ::-1])
    monkeypatch.chdir(trained)
    arguments = ["--model", "models/model.keras", "--to", "onnx", "--out", str(tmp_path / "out")]
    with pytest.raises(CandidError, match=r"model\.onnx: a probability differs.*not kept"):
        main(arguments)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_converter_that_fails_ends_in_one_line():
    def fail() -> None:
        print("pages of noise")
        raise RuntimeError("no such\noperator")

    with pytest.raises(CandidError, match=r"^m\.onnx: can't be exported: no such operator$"):
        command.attempt("m.onnx: can't be exported", fail)


def test_another_backend_and_a_missing_package_are_named(trained, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(CandidError, match="KERAS_BACKEND=jax: the exporters go through TensorFlow"):
        load(trained / "models/model.keras")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CandidError, match=r"pip install -r requirements-export\.txt"):
        command.need("litert")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "tflite"], "--to tflite: unknown format; expected onnx or litert"),
        (["--to", "onnx", "--calibrate", "0"], "--calibrate 0"),
        (["--to", "onnx", "--model", "notes.keras"], "notes.keras: not a .keras file"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, monkeypatch, arguments, words):
    skip_without("onnx")
    monkeypatch.chdir(tmp_path)
    Path("notes.keras").write_text("not a model")
    with pytest.raises(CandidError, match=words):
        main(arguments)


def test_a_change_has_an_interval_that_holds_it():
    generator = np.random.default_rng(0)
    actual = generator.integers(0, 3, 300)
    before = np.eye(3)[np.where(generator.random(300) < 0.7, actual, (actual + 1) % 3)]
    keras = Predictions(CLASSES, actual, before, np.arange(300))
    same = command.paired(keras, keras)
    assert same.accuracy == 0
    assert -0.03 < same.low < 0 < same.high < 0.03
    worse = before.copy()
    worse[:60] = np.eye(3)[(actual[:60] + 1) % 3]
    other = dataclasses.replace(keras, probabilities=worse)
    lost = command.paired(keras, other)
    assert lost.low < lost.accuracy < lost.high < 0
    # the same faces, of which only 30 are independent
    grouped = [dataclasses.replace(each, groups=np.arange(300) // 10) for each in (keras, other)]
    assert np.ptp(command.paired(*grouped)[1:]) > np.ptp(lost[1:])


def test_only_faces_of_known_classes_are_judged(trained):
    parts = read_parts(trained / "data")
    _, actual, _ = command.known_faces(parts, ["sad", "happy"], (None, SIZE, SIZE, 1))
    assert len(actual) == 30
    assert set(actual) == {0, 1}
    with pytest.raises(CandidError, match="no test face of the classes contempt"):
        command.known_faces(parts, ["contempt"], (None, SIZE, SIZE, 1))


def test_the_sample_serves_where_there_is_no_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CandidError, match=r"neither faces\.npy nor sample\.zip"):
        read_parts(Path("data"))
    Path("data").symlink_to(Path(__file__).resolve().parents[2] / "data")
    parts = read_sample()
    assert parts.datasets == ("sample",)
    assert not set(parts.train["group"]) & set(parts.test["group"])
    assert len(parts.train) + len(parts.test) == 2174
    with pytest.raises(CandidError, match=r"elsewhere: no faces\.npy"):
        read_parts(Path("elsewhere"))
