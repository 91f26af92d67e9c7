"""Contact sheets: of single pairs, and those of the pipeline's own set."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stages.dedup.sheets import pair_sheet
from stages.files import write_array, write_csv
from tests.tools.audit_sets import photo


def noise(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_a_small_image_keeps_its_pixels_on_the_sheet():
    image = noise(1, 48, 48)
    sheet = np.asarray(pair_sheet([image], [image.T.copy()], ["0.912"]).convert("L"))
    large = np.kron(image, np.ones((2, 2), np.uint8))
    windows = np.lib.stride_tricks.sliding_window_view(sheet, (96, 96))
    hits = np.argwhere((windows[:, :, ::8, ::8] == large[::8, ::8]).all(axis=(2, 3)))
    assert any((sheet[y : y + 96, x : x + 96] == large).all() for y, x in hits)


def test_sheets_are_the_same_again_and_hold_any_size_and_colour():
    first = [noise(1, 48, 48), noise(2, 300, 200, 3), noise(3, 5, 60), noise(4, 1, 1)]
    captions = ["a", "b\tc\nd", "a very long caption " * 9, ""]
    one, two = (pair_sheet(first, first[::-1], captions, "title " * 80, columns=3) for _ in range(2))
    assert one.mode == "RGB"
    assert one.tobytes() == two.tobytes()
    assert one.tobytes() != pair_sheet(first[::-1], first, captions, "title " * 80, columns=3).tobytes()


def test_long_captions_stay_in_their_cell():
    plain = np.full((48, 48), 255, np.uint8)
    one = pair_sheet([plain] * 2, [plain] * 2, ["W" * 200 + "\t" + "W" * 200, ""], columns=2)
    two = pair_sheet([plain] * 2, [plain] * 2, ["", ""], columns=2)
    middle = one.width // 2
    assert one.crop((middle, 0, *one.size)).tobytes() == two.crop((middle, 0, *two.size)).tobytes()
    assert one.tobytes() != two.tobytes()


@pytest.mark.parametrize(("a", "b", "captions"), [(0, 0, 0), (1, 2, 1), (1, 1, 2)])
def test_lists_of_different_length_are_refused(a, b, captions):
    image = noise(1, 48, 48)
    with pytest.raises(ValueError, match="expected as many"):
        pair_sheet([image] * a, [image] * b, ["x"] * captions)


def test_the_pipelines_pairs_come_as_sheets(run_stage, tmp_path):
    faces = [photo(seed, 48, 48) for seed in range(30)]
    faces += [photo(seed, 54, 54).crop((3, 2, 51, 50)).point(lambda v: v * 0.9) for seed in range(6)]
    images = np.stack([np.asarray(face.convert("L")) for face in faces])
    table = pd.DataFrame({"id": range(36), "label": ["happy", "sad"] * 18, "source": "x", "dataset": "made"})
    write_array(tmp_path / "data/faces.npy", images)
    write_csv(tmp_path / "data/faces.csv", table.assign(part="", subject="", sequence=""))
    done = run_stage("tools.near_duplicates", "--pairs", "2")
    assert (done.returncode, done.stderr) == (0, "")
    sheets = sorted(path.name for path in (tmp_path / "audit/near_duplicates").glob("*.png"))
    assert any(name.startswith("accepted") for name in sheets)
    for name in sheets:
        assert f"{name}: " in done.stdout
        with Image.open(tmp_path / "audit/near_duplicates" / name) as sheet:
            assert sheet.width > 200


def test_sheets_without_faces_end_in_one_line(run_stage):
    done = run_stage("tools.near_duplicates")
    assert done.returncode == 1
    assert (
        done.stderr == "candid near_duplicates: data/faces.npy: no such file; expected the output of ingest\n"
    )
