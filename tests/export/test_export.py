"""Exports: what stands in the folder is Keras's model, and the table says what int8 costs."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from candid.data.faces import load_images
from candid.errors import CandidError
from candid.evaluation.predict import predict
from candid.export import compare, formats
from candid.export.command import load, main, read_options
from candid.export.compare import latencies
from candid.labelled import as_taken, read_parts, read_sample
from candid.predict.classifier import load_classifier
from tests.predict.tiny_model import CLASSES, SIZE, write_data, write_tiny

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
FILES = ("model.onnx", "model.int8.onnx", "model.tflite", "model.int8.tflite")


def skip_without(*names: str) -> None:
    for name in names:
        try:
            formats.need(name)
        except CandidError as error:
            pytest.skip(str(error))


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("project")
    write_tiny(folder / "models" / "model.keras")
    write_data(folder / "data")
    return folder


@pytest.fixture(scope="module")
def done(project):
    """The whole command in both formats, float and int8."""
    skip_without("onnx", "litert")
    import os
    import subprocess
    import sys

    repository = Path(__file__).resolve().parents[2]
    arguments = [
        "--model",
        "models/model.keras",
        "--to",
        "onnx",
        "litert",
        "--int8",
    ]
    return subprocess.run(
        [sys.executable, "-m", "candid", "export", *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_writes_each_export_and_one_table(done, project):
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    written = sorted(file.name for file in (project / "exported").iterdir())
    assert written == sorted([*FILES, *(f"{name}.json" for name in FILES)])
    for row in ("Keras", "onnx float32", "onnx int8", "litert float32", "litert int8"):
        assert f"\n{row} " in done.stdout
    assert "45 test faces of data (sample)" in done.stdout


@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_the_exports_give_what_keras_gives(done, project, name):
    classifier = load_classifier(project / "models" / "model.keras")
    images = np.asarray(load_images(project / "data" / "faces.npy"))
    wanted = predict(classifier.model, images, np.arange(len(images)), "none")
    faces = as_taken(images, classifier.model.input_shape)
    suffix = formats.FORMATS[name].suffix
    given = {}
    for mark in ("", ".int8"):
        path = project / "exported" / f"model{mark}{suffix}"
        given[mark] = formats.attempt("load", formats.FORMATS[name].load, path)(faces)
    assert np.abs(given[""] - wanted).max() <= 1e-4
    assert 0 < np.abs(given[".int8"] - wanted).max() < 0.1


def test_int8_is_smaller(done, project):
    size = {name: (project / "exported" / name).stat().st_size for name in FILES}
    assert size["model.int8.tflite"] < size["model.tflite"]


def test_the_json_beside_an_export_says_how_to_feed_it(done, project):
    for name in FILES:
        about = json.loads((project / "exported" / f"{name}.json").read_text())
        assert about["classes"] == list(CLASSES)
        assert about["input"] == {"dtype": "uint8", "shape": [None, SIZE, SIZE, 1], "color": "grey"}
        assert about["precision"] == ("int8" if "int8" in name else "float32")
        assert about["bytes"] == (project / "exported" / name).stat().st_size


def test_class_names_are_in_the_files_themselves(done, project):
    import onnx

    for mark in ("", ".int8"):
        props = {
            item.key: item.value for item in onnx.load(project / f"exported/model{mark}.onnx").metadata_props
        }
        assert json.loads(props["candid.json"])["classes"] == list(CLASSES)
        with zipfile.ZipFile(project / f"exported/model{mark}.tflite") as archive:
            assert json.loads(archive.read("candid.json"))["classes"] == list(CLASSES)


def test_inputs_stay_bytes(done, project):
    import onnxruntime

    for mark in ("", ".int8"):
        taken = onnxruntime.InferenceSession(project / f"exported/model{mark}.onnx").get_inputs()[0]
        assert (taken.type, taken.shape[1:]) == ("tensor(uint8)", [SIZE, SIZE, 1])


def test_a_float_export_that_differs_is_not_kept(project, monkeypatch, tmp_path):
    skip_without("onnx")
    monkeypatch.chdir(project)
    form = formats.FORMATS["onnx"]
    off = dataclasses.replace(form, load=lambda path: lambda faces: form.load(path)(faces)[:, ::-1])
    monkeypatch.setitem(formats.FORMATS, "onnx", off)
    arguments = ["--model", "models/model.keras", "--to", "onnx", "--out", str(tmp_path / "out")]
    with pytest.raises(CandidError, match=r"model\.onnx: a probability differs.*not kept"):
        main(arguments)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_converter_that_fails_ends_in_one_line():
    def fail() -> None:
        print("pages of noise")
        raise RuntimeError("no such\noperator")

    with pytest.raises(CandidError, match=r"^m\.onnx: can't be exported: no such operator$"):
        formats.attempt("m.onnx: can't be exported", fail)


def test_another_backend_is_refused(project, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(CandidError, match="KERAS_BACKEND=jax: the exporters go through TensorFlow"):
        load(project / "models" / "model.keras")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "tflite"], "--to tflite: unknown format; expected onnx or litert"),
        (["--to", "onnx", "--calibrate", "0"], "--calibrate 0"),
    ],
)
def test_wrong_arguments_are_named(arguments, said):
    with pytest.raises(CandidError, match=said):
        read_options(arguments)


def test_what_is_no_model_ends_in_one_line(run_stage, tmp_path):
    skip_without("onnx")
    (tmp_path / "notes.keras").write_text("not a model")
    done = run_stage("candid", "export", "--model", "notes.keras", "--to", "onnx")
    assert done.returncode == 1
    assert done.stderr.startswith("candid export: notes.keras: not a .keras file")
    assert done.stderr.count("\n") == 1


def test_a_missing_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CandidError, match=r"pip install -r requirements-export\.txt"):
        formats.need("litert")


def test_a_change_has_an_interval_that_holds_it():
    generator = np.random.default_rng(0)
    actual = generator.integers(0, 3, 300)
    before = np.eye(3)[np.where(generator.random(300) < 0.7, actual, (actual + 1) % 3)]
    faces = compare.Faces(np.zeros((300, 2, 2), np.uint8), actual, np.arange(300), CLASSES)
    same = compare.paired(faces, before, before)
    assert same.accuracy == 0
    assert -0.03 < same.low < 0 < same.high < 0.03
    worse = before.copy()
    worse[:60] = np.eye(3)[(actual[:60] + 1) % 3]
    lost = compare.paired(faces, before, worse)
    assert lost.low < lost.accuracy < lost.high < 0
    # the same faces, of which only 30 are independent
    grouped = dataclasses.replace(faces, groups=np.arange(300) // 10)
    assert np.ptp(compare.paired(grouped, before, worse)[1:]) > np.ptp(lost[1:])


def test_only_faces_of_known_classes_are_judged(project):
    part = read_parts(project / "data").test
    faces = compare.known_faces(part, ["sad", "happy"], (None, SIZE, SIZE, 1), "data")
    assert len(faces.actual) == 30
    assert set(faces.actual) == {0, 1}
    with pytest.raises(CandidError, match="no test face of the classes contempt"):
        compare.known_faces(part, ["contempt"], (None, SIZE, SIZE, 1), "data")


def test_latencies_are_relative_to_the_first():
    def slow(faces: np.ndarray) -> np.ndarray:
        return np.linalg.svd(np.ones((60, 60)))[1]

    def quick(faces: np.ndarray) -> np.ndarray:
        return faces

    first, second = latencies([slow, quick], np.zeros((1, 2, 2), np.uint8), rounds=20)
    assert first.ratio == 1
    assert second.ratio < 1


def test_the_sample_serves_where_there_is_no_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CandidError, match=r"neither faces\.npy nor sample\.zip"):
        read_parts(Path("data"))
    (tmp_path / "data").symlink_to(Path(__file__).resolve().parents[2] / "data")
    monkeypatch.setattr("candid.labelled.SAMPLE", Path("data"))
    parts = read_sample()
    assert parts.datasets == ("sample",)
    assert not set(parts.train.groups) & set(parts.test.groups)
    assert len(parts.train.ids) + len(parts.test.ids) == 2174
    with pytest.raises(CandidError, match=r"elsewhere: no faces\.npy"):
        read_parts(Path("elsewhere"))
