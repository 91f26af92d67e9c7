"""ONNX: through Keras's exporter (tf2onnx), and ONNX Runtime to run it and to make it int8."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from candid.evaluation.predict import Images
from candid.evaluation.scores import Floats

SUFFIX, PACKAGES = ".onnx", ("tf2onnx", "onnx", "onnxruntime")
AT_ONCE = 64


def write(model: Any, path: Path) -> None:
    """Write a float model that takes any number of faces."""
    model.export(path, format="onnx", verbose=False)


def write_int8(_: Any, plain: Path, path: Path, faces: Images) -> None:
    """Write a model that computes in 8 bits (QDQ), one scale a channel, ranges as seen on `faces`.

    Weights take 7 of the 8 bits (reduce_range): processors without VNNI add two products in 16 bits, which
    8 x 8 bits overflow, and the same file should say the same everywhere.
    """
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):
        """Gives the faces in batches, once."""

        batches = iter(np.array_split(faces, -(-len(faces) // AT_ONCE)))

        def get_next(self) -> dict[str, Images] | None:
            """The next batch; None behind the last."""
            return next(({graph.input[0].name: batch} for batch in self.batches), None)

    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder, "prepared.onnx")
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)  # folds batch norm into convolutions
        graph = onnx.load(prepared).graph
        # eight bits for a probability would be steps of 1/256, and the layer costs nothing
        kinds = sorted({node.op_type for node in graph.node} - {"Softmax"})
        quantization.quantize_static(
            prepared,
            path,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=kinds,
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )


def annotate(path: Path, about: dict[str, str]) -> None:
    """Put names and values into the model's metadata."""
    import onnx

    model = onnx.load(path)
    onnx.helper.set_model_props(model, about)
    model.producer_name = "candid"
    onnx.save(model, path)


def load(path: Path) -> Callable[[Images], Floats]:
    """Open a model on one thread of the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(faces: Images) -> Floats:
        batches = (faces[start : start + AT_ONCE] for start in range(0, len(faces), AT_ONCE))
        return np.concatenate([session.run(None, {name: batch})[0] for batch in batches]).astype(np.float64)

    return run
