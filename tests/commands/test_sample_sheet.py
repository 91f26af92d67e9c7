"""The contact sheet of the embedded dataset."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from candid.data.download import sample
from candid.data.download.sample_sheet import (
    EXPRESSIONS,
    GAP,
    HEAD,
    ZOOM,
    choose_people,
    contact_sheet,
    planted_sheet,
)


def test_every_picture_stands_in_its_place():
    images = np.arange(5, dtype=np.uint8)[:, None, None] * 40 + np.zeros((5, 48, 48), np.uint8)
    sheet = np.asarray(contact_sheet(images, ["a", "b", "", "", ""], 3))
    step = 48 * ZOOM + GAP
    for place in range(5):
        row, column = divmod(place, 3)
        top, left = GAP + HEAD + row * step, GAP + column * step
        assert (sheet[top : top + 48 * ZOOM, left : left + 48 * ZOOM] == 40 * place).all()
    assert sheet.shape == (GAP + HEAD + 2 * step, GAP + 3 * step)
    assert (sheet[: GAP + HEAD - 1, :step] < 255).any()


def test_people_show_every_expression_and_no_copies():
    rows = [(f"{label}/p{k:03d}_0.pgm", label, f"p{k:03d}") for k in range(9) for label in EXPRESSIONS]
    table = pd.DataFrame(rows, columns=["file", "label", "person"])
    chosen = choose_people(table, {"sad/p000_0.pgm"}, 3)
    assert len(chosen) == 3 * len(EXPRESSIONS)
    assert "p000" not in set(chosen["person"])
    assert chosen["label"].tolist() == [*EXPRESSIONS] * 3


def test_planted_copies_stand_under_their_originals(monkeypatch):
    for name, value in {"ORIGINALS": 40, "PAIRS": 12, "TRIPLES": 0}.items():
        monkeypatch.setattr(sample, name, value)
    sheet = np.asarray(planted_sheet(*sample.draw_sample(0)))
    top, size = GAP + HEAD, 48 * ZOOM
    below = top + size + GAP + HEAD
    original, exact = (sheet[y : y + size, GAP : GAP + size] for y in (top, below))
    assert np.array_equal(original, exact)
    assert sheet.shape == (below + size + GAP, GAP + 6 * (size + GAP))


def test_the_command_writes_a_picture(run_stage, tmp_path):
    done = run_stage("candid.data.download.sample_sheet", "docs/sheet.png")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "docs" / "sheet.png") as image:
        assert f"{image.width} x {image.height} pixels" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"), [(["a.jpg"], "a.jpg"), (["a.png", "--seed", "-1"], "--seed -1")]
)
def test_wrong_arguments_end_in_one_line(run_stage, arguments, said):
    done = run_stage("candid.data.download.sample_sheet", *arguments)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
