"""Several steps as one call on JAX, where it is installed: fewer calls, the same training."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

# 10 steps an epoch; on the CPU what else is done on an accelerator alone.
CODE = """
import tempfile
from pathlib import Path
import jax
import numpy as np
calls = []
def jit(*given, **options):
    compiled = real_jit(*given, **options)
    if not given or given[0].__qualname__ != "several_steps.<locals>.scan":
        return compiled
    def counted(state, batches):
        calls.append(len(batches))
        return compiled(state, batches)
    return counted
real_jit, jax.jit = jax.jit, jit
compiled = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, seconds, fun_name="", **_: compiled.append(fun_name) if "backend_compile" in event else None
)

from candid.backend import steps_per_call, use_backend
keras = use_backend("jax")
assert steps_per_call(4) == (1 if jax.default_backend() == "cpu" else 4)
from candid.training import loop
from candid.training.checkpoints import Checkpoints
from tests.training import tiny_net
loop.steps_per_call = lambda wanted: wanted

def run(steps):
    settings = tiny_net.settings(
        {"flip": 0.5}, backend="jax", batch_size=4, epochs=2, steps_per_execution=steps, optimizer="sgd",
        learning_rate=0.05, schedule="cosine", weight_decay=0.01, mixup=0.2, averaging=0.5,
    )
    made = Checkpoints(Path(tempfile.mkdtemp())), tiny_net.body_layers
    net, history = tiny_net.train(tiny_net.build, tiny_net.faces(), settings, *made, say=lambda _: None)
    return [history, *net.get_weights()]

one = run(1)
assert calls == []
four = run(4)
assert calls == [4, 4, 2] * 2, calls
assert compiled.count("jit(scan)") == 2, compiled  # of four batches and of two
for a, b in zip(one, four, strict=True):
    assert np.allclose(a, b, rtol=1e-4, atol=1e-5), (a, b)
assert not np.allclose(four[0]["loss"][0], four[0]["loss"][1])
"""


def test_several_steps_are_one_call_and_train_what_single_steps_do():
    """With a remainder of two steps; test_train_backends.py resumes, test_train_distribute.py shares out."""
    if not find_spec("jax"):
        pytest.skip("jax is not installed: several steps as one call are not tried here")
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "KERAS_BACKEND": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
