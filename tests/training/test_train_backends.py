"""The same code on the other backends, where they are installed; CI has TensorFlow alone."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

CODE = """
import sys, tempfile
from pathlib import Path
import numpy as np
from candid.backend import use_backend
backend, precision = sys.argv[1:]
use_backend(backend)
from candid.training import loop
from candid.training.checkpoints import Checkpoints
from tests.training import tiny_net
from tests.training.tiny_net import train

if backend == "jax":
    loop.steps_per_call = lambda wanted: wanted  # as on GPUs

augment = {
    "flip": 0.5,
    "rotation": {"degrees": 10.0, "probability": 1.0},
    "contrast": {"amount": 0.2, "probability": 0.5},
    "erasing": {"low": 0.02, "high": 0.1, "aspect": 2.0, "probability": 0.5},
}
settings = tiny_net.settings(
    augment, backend=backend, precision=precision, epochs=8, steps_per_execution=2, mixup=0.1, averaging=0.5,
    freeze_epochs=1, thaw_learning_rate=0.03, monitor="val_loss",
)

def run(folder, cut_after=None):
    def say(line):
        if line.startswith(f"epoch {cut_after}/"):
            raise KeyboardInterrupt
    data, body = tiny_net.faces(), tiny_net.body_layers
    return train(tiny_net.build, data, settings, Checkpoints(folder), body, say=say)

folders = [Path(tempfile.mkdtemp()) for _ in range(2)]
net, history = run(folders[0])
assert history["val_accuracy"].max() >= 0.9, history
if precision != "float32":  # what a checkpoint holds is float32 all the same: once is enough to resume
    assert {layer.dtype_policy.name for layer in net.layers} <= {"float32", "uint8"}
    data = tiny_net.faces()
    predicted = np.asarray(net.predict(data.faces[data.train :], verbose=0)).argmax(1)
    assert abs((predicted == data.validation_labels).mean() - history["val_accuracy"].max()) <= 0.1
    sys.exit()
try:
    run(folders[1], 3)
except KeyboardInterrupt:
    pass
resumed, other = run(folders[1])
assert np.allclose(history, other, atol=1e-4), (history, other)
for a, b in zip(net.get_weights(), resumed.get_weights()):
    assert np.allclose(a, b, atol=1e-4)
"""


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_trains_and_resumes(backend, precision):
    if not find_spec(backend):
        pytest.skip(f"{backend} is not installed: train.backend = {backend} is not tried here")
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", CODE, backend, precision],
        env={**os.environ, "PYTHONPATH": root, "KERAS_BACKEND": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
