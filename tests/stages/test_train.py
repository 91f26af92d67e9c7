"""`python -m stages.train` as DVC runs it, on faces of 16 px and the smallest net."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from candid.backend import use_backend
from candid.errors import CandidError
from candid.training.lineage import ancestor_digests, read_about, seen_digests
from stages.train import main
from tests.conftest import REPOSITORY, python

SIZE = 16
NET = {"arch": "self_built", "weights": None}

use_backend("tensorflow")
from tests.training import tiny_net  # noqa: E402 - Keras from here on


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the inputs of train and settings for seconds."""
    monkeypatch.setenv("CANDID_STATE", str(tmp_path / "state"))
    data = tiny_net.faces(train=40, validation=20, size=SIZE)
    (tmp_path / "data").mkdir()
    np.save(tmp_path / "data/faces.npy", data.faces[..., 0])
    rows = [
        {"id": i, "label": data.classes[label], "part": "train" if i < 40 else "validation", "group": i}
        for i, label in enumerate(data.labels)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "data/splits.csv", index=False)
    (tmp_path / "data/votes.csv").write_text("id\n", encoding="utf-8")
    (tmp_path / "data/class_weights.json").write_text(json.dumps(dict.fromkeys(data.classes, 1.0)))
    write_params(tmp_path)
    return tmp_path


def write_params(folder: Path, model: dict[str, Any] | None = None, **train: Any) -> None:
    augment = {**tiny_net.AUGMENT, "flip": 0.5, "rotation": {"degrees": 10, "probability": 1.0}}
    sections = {
        "model": {**NET, **(model or {})},
        "archs": {"self_built": {"widths": [2, 2]}},
        "train": {**tiny_net.TRAIN, "epochs": 4, "augment": augment, **train},
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(sections), encoding="utf-8")


def outputs(folder: Path) -> tuple[bytes, bytes]:
    return (folder / "models/model.keras").read_bytes(), (folder / "plots/history.csv").read_bytes()


def train_here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the stage in this process: it saves the seconds in which TensorFlow starts."""
    import keras

    monkeypatch.chdir(folder)
    keras.backend.clear_session()
    main()


def test_twice_the_same_bytes_and_killed_in_between_too(project, monkeypatch, capsys):
    """An undisturbed run; then a process that gets SIGKILL after its second epoch, and the same run again."""
    train_here(project, monkeypatch)
    said = capsys.readouterr()
    assert [line.split()[1] for line in said.out.splitlines()] == ["1/4", "2/4", "3/4", "4/4"]
    assert said.err == ""
    first = outputs(project)
    with Image.open(project / "plots/augmented.png") as sheet:
        assert sheet.size == (7 * 2 * (SIZE + 2), 6 * 2 * (SIZE + 2))
    history = pd.read_csv(project / "plots/history.csv")
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    assert np.isfinite(history).all(axis=None)
    assert list((project / "state/train").iterdir()) == []
    about = read_about(project / "models/model.keras")
    assert about["best_epoch"] == history["val_accuracy"].argmax() + 1

    for name in ("models/model.keras", "plots/history.csv"):
        (project / name).unlink()
    running = subprocess.Popen(
        [sys.executable, "-m", "stages.train"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONHASHSEED": "7"},
        stdout=subprocess.PIPE,
        text=True,
    )
    with running:
        assert running.stdout is not None
        for line in running.stdout:
            if line.startswith("epoch 2/"):
                running.send_signal(signal.SIGKILL)
                break
    assert not (project / "models/model.keras").exists()
    watched = pd.read_csv(project / "plots/history.csv")  # written after each epoch
    pd.testing.assert_frame_equal(watched, history[: len(watched)])
    assert len(watched) >= 2
    train_here(project, monkeypatch)
    # The second epoch's checkpoint may be left out on a machine where writing takes a second.
    again = capsys.readouterr().out
    assert re.match(r"resuming after epoch ([12])\nepoch (?!\1)[23]/4", again), again
    assert outputs(project) == first


def test_the_model_loads_without_this_project_and_says_its_classes(project, monkeypatch):
    write_params(project, epochs=1, augment={**tiny_net.AUGMENT, "crop": {"name": "random", "size": 12}})
    train_here(project, monkeypatch)
    code = (
        "import json, zipfile, numpy, keras\n"
        "about = json.loads(zipfile.ZipFile('models/model.keras').read('candid.json'))\n"
        "assert about.pop('classes') == ['happy', 'sad', 'neutral']\n"
        "assert about == {'image_size': 16, 'color': 'grey', 'crop': 12, 'best_epoch': 1}\n"
        "model = keras.saving.load_model('models/model.keras')\n"
        "out = model.predict(numpy.zeros((2, 12, 12), 'uint8'), verbose=0)\n"
        "assert out.shape == (2, 3) and out.dtype == 'float32'\n"
        "assert abs(out.sum(1) - 1).max() < 1e-5\n"
    )
    done = python(code, project, env={"PYTHONPATH": ""})
    assert done.returncode == 0, done.stderr


def test_a_run_starts_from_an_earlier_model_with_other_classes(project, monkeypatch):
    write_params(project, epochs=1)
    train_here(project, monkeypatch)
    (project / "models/model.keras").rename(project / "earlier.keras")
    splits = pd.read_csv(project / "data/splits.csv")
    splits["label"] = splits["label"].replace("neutral", "fear")
    splits.to_csv(project / "data/splits.csv", index=False)
    (project / "data/class_weights.json").write_text('{"fear": 1, "happy": 1, "sad": 1}')
    freeze = {"epochs": 1, "thaw_learning_rate": 0.001}
    write_params(project, {"weights": "earlier.keras"}, epochs=2, freeze=freeze)
    train_here(project, monkeypatch)
    about = read_about(project / "models/model.keras")
    assert about["classes"] == ["fear", "happy", "sad"]
    assert (about["started_from"]["file"], about["started_from"]["faces"]) == ("earlier.keras", "known")
    earlier = seen_digests(project / "earlier.keras")
    assert earlier is not None
    assert len(earlier)
    np.testing.assert_array_equal(ancestor_digests(project / "models/model.keras"), earlier)


@pytest.mark.parametrize(
    ("model", "train", "line"),
    [
        ({"weights": "nowhere.keras"}, {}, r"model\.weights = 'nowhere\.keras': no such file"),
        ({}, {"backend": "jax"}, r"'jax', but the environment says KERAS_BACKEND=tensorflow"),
    ],
    ids=["weights", "backend"],
)
def test_what_does_not_fit_together_is_one_line(project, monkeypatch, model, train, line):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    write_params(project, model, **train)
    with pytest.raises(CandidError, match=line):
        train_here(project, monkeypatch)


def test_a_backend_that_is_not_installed_is_one_line(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = next((name for name in ("jax", "torch") if not find_spec(name)), None)
    if missing is None:
        pytest.skip("both jax and torch are installed")
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    write_params(project, backend=missing)
    with pytest.raises(CandidError, match=f"the package {missing} is not installed"):
        train_here(project, monkeypatch)


@pytest.mark.parametrize("name", ["faces.npy", "splits.csv", "class_weights.json"])
def test_a_missing_input_is_named(project: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (project / "data" / name).unlink()
    with pytest.raises(CandidError, match=f"data/{name}: no such file"):
        train_here(project, monkeypatch)
