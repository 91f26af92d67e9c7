"""What the comparison with public packages computes, on weights and faces made here; no package is needed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks import packages
from candid.errors import CandidError

CLASSES = ["happy", "sad"]


def test_quantised_weights_of_tfjs_are_scaled_back():
    packed = {"dtype": "uint8", "scale": 0.5, "min": -1.0}
    entries: list[dict[str, Any]] = [
        {"name": "bias", "shape": [2], "dtype": "float32"},
        {"name": "kernel", "shape": [1, 3], "dtype": "float32", "quantization": packed},
    ]
    content = np.array([3, 4], np.float32).tobytes() + bytes([0, 2, 255])
    weights = packages.tfjs_weights(entries, content)
    np.testing.assert_array_equal(weights["bias"], [3, 4])
    np.testing.assert_array_equal(weights["kernel"], [[-1, 0, 126.5]])
    with pytest.raises(CandidError, match="10 bytes; expected more, for kernel"):
        packages.tfjs_weights(entries, content[:-1])


def test_inputs_have_the_scale_of_each_package():
    faces = np.zeros((2, 48, 48), np.uint8)
    faces[1], faces[0, :, 24:] = 255, 200
    for prepare, shape, low, high in (
        (packages.fer_input, (64, 64, 1), -1, 1),
        (packages.facex_input, (200, 200, 3), 0, 1),
        (packages.human_input, (64, 64, 1), -1, 0.9998),
        (packages.face_api_input, (112, 112, 3), -122.782 / 255, (255 - 104.298) / 255),
    ):
        values = np.asarray(prepare(faces))
        assert values.shape == (2, *shape)
        assert values.dtype == np.float32
        assert [values.min(), values.max()] == pytest.approx([low, high], abs=1e-6)
    left = np.asarray(packages.tfjs_resized(np.array([[[0, 100], [0, 100]]], np.uint8), 4))[0, 0, :, 0]
    np.testing.assert_array_equal(left, [0, 50, 100, 100])


def test_scores_are_paired_by_face_and_split_by_copies():
    faces = 400
    copied, actual = np.arange(faces) % 4 == 0, np.arange(faces) // 4 % 2
    test = pd.DataFrame({"actual": np.array(CLASSES)[actual], "group": np.arange(faces), "copied": copied})
    first = np.eye(2)[actual]
    other = np.eye(2)[np.where(copied | (np.arange(faces) % 4 < 3), actual, 1 - actual)]
    scores = packages.score(test, CLASSES, first, other)
    assert [scores[name]["faces"] for name in scores] == [400, 100, 300]
    assert [scores[name]["accuracy"] for name in scores] == pytest.approx([0.75, 1, 2 / 3])
    assert [scores[name]["change"] for name in scores] == pytest.approx([-0.25, 0, -1 / 3])
    assert scores["all"]["low"] < 0.75 < scores["all"]["high"]
    assert scores["without"]["change_low"] < -1 / 3 < scores["without"]["change_high"] < -0.25
    wrong_together = test.assign(group=np.arange(faces) % 4 * 20 + np.arange(faces) // 20)
    grouped = packages.score(wrong_together, CLASSES, first, other)["all"]
    assert grouped["accuracy"] == scores["all"]["accuracy"]
    assert grouped["change_low"] < scores["all"]["change_low"] - 0.05
    with pytest.raises(CandidError, match="no face with a copy"):
        packages.score(test.assign(copied=False), CLASSES, first, other)


def test_the_tables_have_a_line_a_model_and_100_columns():
    row = {"faces": 3589, "accuracy": 0.655, "low": 0.639, "high": 0.671}
    row |= {"change": -0.123, "change_low": -0.145, "change_high": -0.101}
    parts = dict.fromkeys(("all", "with a copy", "without"), row)
    lines = packages.tables({"fer2013.keras (ten_crop)": parts, "fer": parts}, ["Apache-2.0", "MIT"])
    assert max(map(len, lines)) <= 100
    first = [line.split()[0] for line in lines if line]
    assert first == ["accuracy", "fer2013.keras", "fer", "points", "fer"]
    assert "65.5 (63.9 to 67.1)" in lines[1]
    assert "−12.3 (−14.5 to −10.1)" in lines[-1]


def test_a_missing_package_is_named(tmp_path):
    with pytest.raises(CandidError, match=r"emotion_model_quantized\.tflite: no such file; expected"):
        packages.main(["--folder", str(tmp_path)])
