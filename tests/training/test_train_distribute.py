"""Several devices or processes train what one device trains; on the CPU, with devices made for it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from candid.errors import CandidError
from candid.training.distribute import ADDRESSES, OWN, Sharded, distribution_of
from candid.training.one_device import OneDevice
from tests.training import tiny_net

ROOT = Path(__file__).parents[2]
TWO = {ADDRESSES: "localhost:1, localhost:2", OWN: "1"}
EVERYTHING: dict[str, Any] = {
    "augment": {
        **tiny_net.AUGMENT,
        "flip": 0.5,
        "rotation": {"degrees": 10.0, "probability": 1.0},
        "erasing": {"low": 0.02, "high": 0.1, "aspect": 2.0, "probability": 0.5},
    },
    "optimizer": "sgd",  # nadam divides by what is next to nothing, and rounding shows
    "learning_rate": 0.05,
    "thaw_learning_rate": 0.02,
    "freeze_epochs": 1,
    "epochs": 3,
    "steps_per_execution": 2,
    "mixup": 0.2,
    "label_smoothing": 0.1,
    "weight_decay": 0.01,
    "averaging": 0.5,
}

DEVICES = """
import json, os, sys, tempfile
from pathlib import Path
import numpy as np
backend, given = sys.argv[1], json.loads(sys.argv[2])
if backend == "jax":
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
else:
    import tensorflow as tf
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
from candid.backend import use_backend
from candid.training.distribute import distribution_of
from candid.training.one_device import OneDevice
from candid.training.params import TrainSettings
settings = TrainSettings(**given, backend=backend, distribution="devices")
split = distribution_of(settings)
use_backend(backend, split.start)
import keras
from candid.training import loop
from candid.training.checkpoints import NoCheckpoints
from tests.training import tiny_net
if backend == "jax":
    loop.steps_per_call = lambda wanted: wanted  # as on GPUs
assert split.devices == 2

def run(split):
    keras.backend.clear_session()
    made = NoCheckpoints(), tiny_net.body_layers
    return tiny_net.train(tiny_net.build, tiny_net.faces(), settings, *made, say=lambda _: None, split=split)

(one, first), (two, second) = run(OneDevice()), run(split)
for name in first:
    assert np.allclose(first[name], second[name], rtol=1e-4, atol=1e-6), (name, first[name], second[name])
for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
    assert np.allclose(a, b, rtol=1e-3, atol=1e-4), np.abs(a - b).max()
configs = [keras.saving.serialize_keras_object(layer)["config"] for layer in two.layers]
assert not any(config.get("synchronized") for config in configs)
"""


def started(command: list[str], folder: Path, **environment: str) -> subprocess.Popen[str]:
    kept = {
        name: value for name, value in os.environ.items() if name not in ("KERAS_BACKEND", ADDRESSES, OWN)
    }
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def installed(backend: str) -> str:
    if not find_spec(backend):
        pytest.skip(f"{backend} is not installed: train.backend = {backend} is not tried here")
    return backend


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_train_what_one_does(backend: str, tmp_path: Path) -> None:
    """Augmentation, mixup, dropout, batch norm, averages, a frozen phase: loss and weights are the same."""
    given = {key: value for key, value in {**tiny_net.TRAIN, **EVERYTHING}.items() if key != "backend"}
    done = started(["-c", DEVICES, installed(backend), json.dumps(given)], tmp_path)
    _, told = done.communicate()
    assert done.returncode == 0, told[-3000:]


def open_ports(count: int) -> list[int]:
    """Find ports on loopback that nobody uses, and try that they can be reached."""
    listeners = [socket.socket() for _ in range(count)]
    try:
        for listener in listeners:
            listener.bind(("localhost", 0))
            listener.listen(1)
            socket.create_connection(listener.getsockname(), timeout=5).close()
        return [listener.getsockname()[1] for listener in listeners]
    except OSError as error:
        pytest.skip(f"no ports on loopback: {error}")
    finally:
        for listener in listeners:
            listener.close()


def project(folder: Path, distribution: str, backend: str) -> Path:
    """A folder with the inputs of the stage."""
    data = tiny_net.faces(train=40, validation=20, size=16)
    (folder / "data").mkdir(parents=True)
    np.save(folder / "data/faces.npy", data.faces[..., 0])
    part = ["train"] * 40 + ["validation"] * 20
    names = [data.classes[label] for label in data.labels]
    table = pd.DataFrame({"id": range(60), "label": names, "part": part, "group": range(60)})
    table.to_csv(folder / "data/splits.csv", index=False)
    (folder / "data/class_weights.json").write_text(json.dumps(dict.fromkeys(data.classes, 1.0)))
    train = {**tiny_net.TRAIN, **EVERYTHING, "freeze_epochs": 0, "backend": backend}
    sections = {
        "model": {"arch": "self_built", "weights": None},
        "archs": {"self_built": {"widths": [2, 2]}},
        "train": {**train, "distribution": distribution},
    }
    with (folder / "params.yaml").open("w") as file:
        YAML(typ="safe").dump(sections, file)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_processes_train_what_one_does_and_the_first_writes(backend: str, tmp_path: Path) -> None:
    installed(backend)
    addresses = ",".join(f"localhost:{port}" for port in open_ports(2))
    state = {"CANDID_STATE": str(tmp_path / "state"), "CUDA_VISIBLE_DEVICES": ""}
    alone = project(tmp_path / "alone", "none", backend)
    folders = [project(tmp_path / str(own), "processes", backend) for own in range(2)]
    stage = ["-m", "stages.train"]
    running = [
        started(stage, folder, **state, **{ADDRESSES: addresses, OWN: str(own)})
        for own, folder in enumerate(folders)
    ]
    running.append(started(stage, alone, **state))
    try:
        for process in running:
            _, told = process.communicate(timeout=300)
            assert process.returncode == 0, told[-3000:]
    finally:  # where one fails, the others would wait for it
        for process in running:
            process.kill()
            process.communicate()
    one, two = (pd.read_csv(folder / "plots/history.csv") for folder in (alone, folders[0]))
    assert np.allclose(one, two, rtol=1e-4, atol=1e-6), (one, two)
    assert (folders[0] / "models/model.keras").stat().st_size == (alone / "models/model.keras").stat().st_size
    assert sorted(path.name for path in folders[1].iterdir()) == ["data", "params.yaml"]


@pytest.mark.parametrize(
    ("changes", "environment", "told"),
    [
        ({"distribution": "devices", "backend": "torch"}, {}, "on PyTorch Keras trains on one device"),
        ({"distribution": "devices", "clip_norm": 1.0}, {}, "with train.clip_norm = 1: on TensorFlow"),
        ({"distribution": "processes"}, {}, f"{ADDRESSES}=''; expected host:port,host:port"),
        ({"distribution": "processes"}, {**TWO, ADDRESSES: "one:1"}, "'one:1'; expected host:port,host:port"),
        ({"distribution": "processes"}, {**TWO, OWN: "2"}, f"{OWN}='2'; expected 0 to 1"),
    ],
    ids=["torch", "clip", "alone", "one", "place"],
)
def test_what_can_not_be_is_told(changes: Any, environment: dict[str, str], told: str) -> None:
    with pytest.raises(CandidError) as caught:
        distribution_of(tiny_net.settings(**changes), environment)
    assert "\n" not in str(caught.value)
    assert told in str(caught.value)


def test_the_default_is_one_device() -> None:
    assert type(distribution_of(tiny_net.settings(), {})) is OneDevice


def test_a_batch_that_can_not_be_shared_out_is_told() -> None:
    split = OneDevice()
    split.devices = 3
    with pytest.raises(
        CandidError, match=r"train\.batch_size: 16 faces a step for 3 devices: expected a multiple"
    ):
        split.check_batch(16)


def test_each_process_is_fed_its_part_of_each_batch() -> None:
    rows = np.arange(12, dtype=np.int32)
    parts = [Sharded(["a:1", "b:1"], own).fed(rows, 6) for own in range(2)]
    assert [part.tolist() for part, _ in parts] == [[0, 1, 2, 6, 7, 8], [3, 4, 5, 9, 10, 11]]
    assert {size for _, size in parts} == {3}


def test_processes_at_different_runs_are_told() -> None:
    """Two processes of which the other is at the run "0a"."""

    class Other(OneDevice):
        addresses = ["a:1", "b:1"]

        def add_up(self, values):
            return values + np.array([[0, 10], [0, 100]], np.float32)

    Other().check_same("0a")
    for name in ("1a", "0b", "a0"):
        with pytest.raises(CandidError, match="the processes differ in settings"):
            Other().check_same(name)
