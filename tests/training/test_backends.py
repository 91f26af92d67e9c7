"""Other backends, where they are installed (CI has TensorFlow alone), and several devices on the CPU."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import Any

import pytest

from candid.backend import threads
from candid.errors import CandidError
from candid.training.distribution import DataParallel, Mirrored, OneDevice, strategy_of
from candid.training.fit import train
from tests.conftest import REPOSITORY, python
from tests.training import tiny_net

AUGMENT = {
    **tiny_net.AUGMENT,
    "flip": 0.5,
    "rotation": {"degrees": 10.0, "probability": 1.0},
    "contrast": {"amount": 0.2, "probability": 0.5},
    "erasing": {"low": 0.02, "high": 0.1, "aspect": 2.0, "probability": 0.5},
}

BACKENDS = """
import json, sys, tempfile
from pathlib import Path
import numpy as np
from candid.backend import use_backend
from candid.training.settings import TrainSettings
settings = TrainSettings(**json.loads(sys.argv[1]))
use_backend(settings.backend)
from tests.training import tiny_net

folders = [Path(tempfile.mkdtemp()) for _ in range(2)]
net, history = tiny_net.fit(folders[0], settings)
assert history["val_accuracy"].max() >= 0.9, history
if settings.precision != "float32":  # a checkpoint is float32 all the same: once is enough
    assert {layer.dtype_policy.name for layer in net.layers} <= {"float32", "uint8"}
    sys.exit()
try:
    tiny_net.fit(folders[1], settings, cut_after=3)
except tiny_net.CutShort:
    pass
resumed, other = tiny_net.fit(folders[1], settings)
assert np.allclose(history, other, atol=1e-4), (history, other)
for a, b in zip(net.get_weights(), resumed.get_weights()):
    assert np.allclose(a, b, atol=1e-4)
"""

DEVICES = """
import json, os, sys, tempfile
from pathlib import Path
import numpy as np
from candid.training.settings import TrainSettings
settings = TrainSettings(**json.loads(sys.argv[1]))
if settings.backend == "jax":
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
else:
    import tensorflow as tf
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
from candid.backend import use_backend
from candid.training.distribution import OneDevice, strategy_of
strategy = strategy_of(settings)
use_backend(settings.backend, strategy.start)
import keras
from tests.training import tiny_net
assert strategy.devices == 2

def run(strategy):
    return tiny_net.fit(Path(tempfile.mkdtemp()), settings, strategy=strategy)

(one, first), (two, second) = run(OneDevice()), run(strategy)
for name in first:
    assert np.allclose(first[name], second[name], rtol=1e-4, atol=1e-6), (name, first[name], second[name])
for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
    assert np.allclose(a, b, rtol=1e-3, atol=1e-4), np.abs(a - b).max()
configs = [keras.saving.serialize_keras_object(layer)["config"] for layer in two.layers]
assert not any(config.get("synchronized") for config in configs)
"""


def run(code: str, backend: str, **changes: Any) -> None:
    """Run code in a process of its own, with settings as its argument."""
    if not find_spec(backend):
        pytest.skip(f"{backend} is not installed: train.backend = {backend} is not tried here")
    section = {**tiny_net.TRAIN, "augment": AUGMENT, "backend": backend, **changes}
    environment = {"KERAS_BACKEND": "", "CUDA_VISIBLE_DEVICES": ""}
    done = python(code, REPOSITORY, json.dumps(section), env=environment)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_trains_and_resumes(backend, precision):
    changes = {"epochs": 8, "steps_per_execution": 2, "mixup": 0.1, "averaging": 0.5, "monitor": "val_loss"}
    freeze = {"epochs": 1, "thaw_learning_rate": 0.03}
    run(BACKENDS, backend, precision=precision, freeze=freeze, **changes)


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_train_what_one_does(backend):
    """Augmentation, dropout, batch norm, averages, a frozen phase: loss and weights are the same.

    Not by nadam, which divides by what is next to nothing, so that rounding shows.
    """
    changes = {"distribution": "devices", "optimizer": "sgd", "learning_rate": 0.05, "averaging": 0.5}
    changes |= {"steps_per_execution": 2, "label_smoothing": 0.1, "weight_decay": 0.01, "epochs": 2}
    run(DEVICES, backend, freeze={"epochs": 1, "thaw_learning_rate": 0.02}, **changes)


def test_the_strategy_follows_the_backend_and_a_batch_must_divide(tmp_path):
    assert type(strategy_of(tiny_net.settings())) is OneDevice
    assert type(strategy_of(tiny_net.settings(distribution="devices"))) is Mirrored
    assert type(strategy_of(tiny_net.settings(distribution="devices", backend="jax"))) is DataParallel
    three = OneDevice()
    three.devices = 3
    checkpoints: Any = None
    with pytest.raises(CandidError, match=r"batch_size: 16 faces a step for 3 devices: expected a multiple"):
        train(tiny_net.build, tiny_net.faces(), tiny_net.settings(), checkpoints, strategy=three)


@pytest.mark.parametrize(("wanted", "expected"), [("3", 3), ("0", 5), ("many", 5), (None, 5)])
def test_threads_are_those_of_the_environment_else_the_cores(monkeypatch, wanted, expected):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(5)), raising=False)
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    if wanted is not None:
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", wanted)
    assert threads() == expected
