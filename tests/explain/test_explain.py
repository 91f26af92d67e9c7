"""Explanations: the map is where the model looks, the filters are the model's, and the sheets hold them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from candid.errors import CandidError
from candid.evaluation.model_file import Card
from candid.explain.command import draw_by_class, first_convolutions, main, read_faces
from candid.explain.occlusion import drops, explain, heat, occluded, patches
from candid.labelled import read_parts
from candid.predict.classifier import load_classifier
from tests.data.made import encoded, folder, pixels
from tests.predict.tiny_model import CLASSES, SIZE, write_tiny

CARD = Card(classes=list(CLASSES), image_size=SIZE, color="grey")


def looks_at(rows: slice, columns: slice):
    """A model whose class 1 is the contrast within a window, and nothing else."""

    def predict(faces: np.ndarray) -> np.ndarray:
        window = faces.reshape(*faces.shape[:3], -1)[:, rows, columns].astype(float)
        share = np.clip(window.std(axis=(1, 2, 3)) / 128, 0, 1)
        return np.stack([1 - share, share], axis=1)

    return predict


@pytest.mark.parametrize("shape", [(48, 48), (48, 48, 3), (40, 40)])
@pytest.mark.parametrize(("top", "left"), [(0, 0), (30, 6), (16, 28)])
def test_the_map_is_highest_where_the_model_looks(shape, top, left):
    face = (np.indices(shape).sum(axis=0) // 2 % 2 * 255).astype(np.uint8)
    window = slice(top, top + 10), slice(left, left + 10)
    lost = drops(looks_at(*window), face)
    found = heat(lost[:, 1], shape[0])
    y, x = np.unravel_index(found.argmax(), found.shape)
    assert abs(y - (top + 4.5)) <= 5
    assert abs(x - (left + 4.5)) <= 5
    assert np.allclose(lost[:, 0], -lost[:, 1])


def test_a_map_is_a_mean_of_what_was_lost():
    face = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    assert not drops(lambda faces: np.full((len(faces), 2), 0.5), face).any()
    lost = np.full(len(patches(48)), 0.25)
    assert np.allclose(heat(lost, 48), 0.25)
    lost = np.random.default_rng(0).random(len(lost))
    assert lost.min() < heat(lost, 48).min()
    assert heat(lost, 48).max() < lost.max()


def test_a_blurred_patch_changes_its_place_alone():
    face = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    changed = occluded(face)
    assert changed.shape == (144, 48, 48)
    assert np.array_equal(changed[0, 24:, 24:], face[24:, 24:])
    assert np.abs(changed[0, :8, :8].astype(int) - face[:8, :8]).max() > 50
    flat = np.full((48, 48), 77, np.uint8)
    assert (occluded(flat) == 77).all()


def test_the_maps_are_the_convolutions(trained):
    model = load_classifier(trained / "models" / "model.keras").model
    face = np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 1), np.uint8)
    (only,) = first_convolutions(model, face)
    assert (only.name, only.total, only.maps.shape) == ("stem_conv", 8, (8, SIZE, SIZE))
    kernel = np.asarray(model.get_layer("stem_conv").kernel)[:, :, 0, :]
    around = face[0, 8:13, 9:14, 0] / 255
    assert np.allclose(only.maps[:, 10, 11], np.einsum("yx,yxf->f", around, kernel), atol=1e-5)
    assert np.allclose(only.kernels, kernel.transpose(2, 0, 1))


def test_a_model_without_convolutions_is_named(tmp_path):
    model = load_classifier(write_tiny(tmp_path / "flat.keras", flat=True)).model
    with pytest.raises(CandidError, match="tiny has no two-dimensional convolution"):
        first_convolutions(model, np.zeros((1, SIZE, SIZE, 1), np.uint8))


def test_rows_hold_right_and_wrong_answers_of_each_class():
    def predict(faces: np.ndarray) -> np.ndarray:
        return np.asarray(np.eye(3)[faces[:, 0, 0]] * 0.8 + 0.2 / 3)

    predicted, labels = [0, 0, 1, 1, 1, 2], ["angry", "angry", "angry", "happy", "sad", ""]
    images = np.zeros((6, SIZE, SIZE), np.uint8) + np.array(predicted, np.uint8)[:, None, None]
    rows = explain(predict, images, labels, CLASSES, 2)
    assert [row.title for row in rows] == ["angry", "happy", "sad", ""]
    assert [len(row.right) for row in rows] == [2, 1, 0, 1]
    assert [len(row.wrong) for row in rows] == [1, 0, 1, 0]
    angry = rows[0]
    assert angry.wrong[0].predicted == "happy"
    assert angry.wrong[0].label_probability == pytest.approx(0.2 / 3)
    assert angry.mean is not None
    assert angry.mean[2] == 2
    assert rows[3].right[0].label == ""


def test_the_command_writes_both_sheets_of_test_faces_or_of_pictures(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    files = {f"{number}.png": encoded(pixels(number, 60, 60, 3)) for number in range(3)}
    folder(tmp_path / "faces/happy", files | {"cut.png": b"\x89PNG\r\n\x1a\n"})
    for arguments, complaint in (["--data", str(trained / "data")], ""), (["--faces", "faces"], "cut.png: "):
        main(["--model", str(trained / "models/model.keras"), "--shown", "1", *arguments])
        printed = capsys.readouterr()
        assert printed.out.splitlines()[1:] == ["explained/where.png", "explained/filters.png"]
        assert complaint in printed.err
        for name in ("where", "filters"):
            with Image.open(f"explained/{name}.png") as image:
                assert min(image.size) > 300
                assert len(np.unique(np.asarray(image.convert("L")))) > 50
            Path(f"explained/{name}.png").unlink()


def test_pictures_are_read_as_ingest_reads_them(tmp_path):
    face = pixels(0, SIZE, SIZE)
    folder(tmp_path, dict.fromkeys(["happy/a.png", "holiday/a.png"], encoded(face)))
    folder(tmp_path, {"holiday/notes.txt": b"no picture"})
    images, labels, unread = read_faces([tmp_path], CARD)
    assert np.array_equal(images, np.stack([face, face]))
    assert labels == ["happy", ""]
    assert unread == []


def test_faces_of_the_test_set_are_drawn_by_class(trained):
    _, labels = draw_by_class(read_parts(trained / "data"), list(CLASSES), 4)
    assert {name: labels.count(name) for name in CLASSES} == dict.fromkeys(CLASSES, 4)
    assert labels != sorted(labels), "in their order"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--faces", "nowhere"], "nowhere: no such file or folder; expected pictures"),
        (["--faces", "empty"], "no picture; expected pictures of faces"),
        (["--model", "notes.txt"], "notes.txt: expected a model"),
        (["--model", "missing.keras"], "missing.keras: no such file"),
        (["--shown", "0"], "--shown 0: expected 1 to 12"),
        (["--shown", "13"], "--shown 13: expected 1 to 12"),
    ],
)
def test_faults_end_in_one_line(trained, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("not a model")
    Path("empty").mkdir()
    with pytest.raises(CandidError, match=words):
        main(["--model", str(trained / "models/model.keras"), *arguments])
