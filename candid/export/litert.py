"""LiteRT (TensorFlow Lite): through Keras's exporter, and the interpreter of ai-edge-litert to run it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from candid.evaluation.predict import Images
from candid.evaluation.scores import Floats

SUFFIX, PACKAGES = ".tflite", ("ai_edge_litert",)


def write(model: Any, path: Path, **options: Any) -> None:
    """Write a float model that takes one face at a time: delegates of phones want fixed shapes."""
    import keras

    face = keras.layers.InputSpec(shape=(1, *model.input_shape[1:]), dtype="uint8", name="faces")
    model.export(path, format="litert", verbose=False, input_signature=[face], **options)


def write_int8(model: Any, _: Path, path: Path, faces: Images) -> None:
    """Write a model that computes in 8 bits, one scale a channel, ranges as seen on `faces`.

    Its input stays uint8, as it was; probabilities come in steps of 1/256.
    """
    import tensorflow as tf

    options = {
        "optimizations": [tf.lite.Optimize.DEFAULT],
        "representative_dataset": lambda: ([face[None]] for face in faces),
        "target_spec": {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]},
    }
    write(model, path, **options)


def annotate(path: Path, about: dict[str, str]) -> None:
    """Append names and values as a zip archive, which is where the format keeps files such as labels."""
    with zipfile.ZipFile(path, "a") as archive:
        for name, value in about.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), value)


def load(path: Path) -> Callable[[Images], Floats]:
    """Open a model on one thread of the CPU."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(faces: Images) -> Floats:
        outputs = []
        for face in faces:
            interpreter.set_tensor(source, face[None])
            interpreter.invoke()
            outputs.append(interpreter.get_tensor(target)[0])
        return np.array(outputs, np.float64)

    return run
