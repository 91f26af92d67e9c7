"""One set of pictures in every form that the audit reads: the same copies, labels and splits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from candid.audit.images import read_images
from candid.audit.sources import open_source
from tests.audit.sets import encoded, photo
from tests.conftest import refusal
from tests.data.made import folder as write_all

SIDE = 64
ROWS = [("cat", "train", 0), ("dog", "train", 1), ("cat", "train", 2), ("dog", "test", 0), ("dog", "test", 3)]
"""label, split, which photo: the fourth is a copy of the first with another label, across the split."""


def pixels() -> list[np.ndarray]:
    return [np.asarray(photo(seed, SIDE, SIDE)) for _, _, seed in ROWS]


def write_pictures(folder: Path) -> list[str]:
    names = [f"{number}.png" for number in range(len(ROWS))]
    write_all(folder, {name: encoded(array) for name, array in zip(names, pixels(), strict=True)})
    return names


def folders(folder, *order):
    places = [f"{row[order[0]]}/{row[order[1]]}/{number}.png" for number, row in enumerate(ROWS)]
    return write_all(folder, {place: encoded(array) for place, array in zip(places, pixels(), strict=True)})


def csv(folder, names=("image", "label", "split"), below="pictures"):
    files = write_pictures(folder / below)
    table = pd.DataFrame([(f"{below}/{file}", *row[:2]) for file, row in zip(files, ROWS, strict=True)])
    table.to_csv(folder / "set.csv", header=list(names), index=False)
    return folder / "set.csv"


def coco(folder, annotations="annotations", images="images/all"):
    files = write_pictures(folder / images)
    (folder / annotations).mkdir(exist_ok=True)
    content = {
        "images": [{"id": 10 + i, "file_name": file} for i, file in enumerate(files)],
        "annotations": [{"image_id": 10 + i, "category_id": row[0] == "dog"} for i, row in enumerate(ROWS)],
        "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}],
    }  # fmt: skip
    path = folder / annotations / "instances_all.json"
    path.write_text(json.dumps(content))
    return path


def npz(folder, each_part=False, **names):
    labels, parts = (np.array([row[column] for row in ROWS]) for column in (0, 1))
    images = np.stack(pixels())
    if each_part:
        x, y = names["x"], names["y"]
        arrays = {key.format(part): values[parts == part] for part in ("train", "test")
                  for key, values in ((x, images), (y, labels[:, None]))}  # fmt: skip
    else:
        arrays = {"images": images, "labels": labels}
    np.savez_compressed(folder / "set.npz", **arrays)
    return folder / "set.npz"


def parquet_of_paths(folder):
    pytest.importorskip("pyarrow")
    pd.read_csv(csv(folder)).to_parquet(folder / "set.parquet")
    return folder / "set.parquet"


def parquet(folder, struct=True, one_file=False):
    arrow = pytest.importorskip("pyarrow")
    data = [encoded(array) for array in pixels()]
    cells = [{"bytes": each, "path": "x.png"} for each in data] if struct else data
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}
    table = arrow.table({"image": cells, "label": [["cat", "dog"].index(row[0]) for row in ROWS]})
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    table = table.replace_schema_metadata(about)
    import pyarrow.parquet

    if one_file:
        table = table.append_column("split", [[row[1] for row in ROWS]])
        pyarrow.parquet.write_table(table, folder / "set.parquet", row_group_size=2)
        return folder / "set.parquet"
    (folder / "hub/data").mkdir(parents=True)
    for part, rows in (("train", table[:3]), ("test", table[3:])):
        pyarrow.parquet.write_table(
            rows, folder / f"hub/data/{part}-00000-of-00001.parquet", row_group_size=2
        )
    return folder / "hub"


FORMS = {
    "split/label": lambda folder: folders(folder / "set", 1, 0),
    "label/split": lambda folder: folders(folder / "set", 0, 1),
    "csv": csv,
    "csv, other names": lambda folder: csv(folder, ("Filename", "Class", "Subset")),
    "npz, x_train": lambda folder: npz(folder, True, x="x_{}", y="y_{}"),
    "npz, train_images": lambda folder: npz(folder, True, x="{}_images", y="{}_labels"),
    "parquet": lambda folder: parquet(folder, struct=False, one_file=True),
    "parquet of paths": parquet_of_paths,
    "Hugging Face": parquet,
    # what knows no split
    "npz": npz,
    "coco": coco,
    "coco beside its images": lambda folder: coco(folder, ".", "."),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_copies_labels_and_splits(tmp_path, audit, form):
    path = FORMS[form](tmp_path)
    split = form not in ("npz", "coco", "coco beside its images")
    status, numbers, *_ = audit(path, *["--max-leak", "0"] * split)
    assert (numbers["images"], numbers["classes"], numbers["conflicting_groups"]) == (5, 2, 1)
    assert numbers["parts"] == ({"train": 3, "test": 2} if split else {})
    assert status == split
    (pair,) = pd.read_csv(tmp_path / "report/duplicates.csv").to_dict("records")
    assert {pair["label_a"], pair["label_b"]} == {"cat", "dog"}
    assert pair["kind"] == "exact"


def test_named_columns_and_rows_that_name_one_picture_twice(tmp_path):
    path = csv(tmp_path, ("where", "what", "when"))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[-1], lines[-1].replace("dog", "cat")]))
    with open_source(path, columns={"image": "where", "label": "what", "split": "when"}) as source:
        images = read_images(source).images
    assert images["file"].tolist() == [
        *(f"pictures/{i}.png" for i in range(4)), "pictures/4.png (entry 5)", "pictures/4.png (entry 6)",
    ]  # fmt: skip
    assert images["label"].tolist() == ["cat", "dog", "cat", "dog", "dog", "cat"]


def test_a_listed_picture_that_is_not_there_is_listed_as_unreadable(tmp_path):
    path = csv(tmp_path, below="..hidden")
    (tmp_path / "..hidden/4.png").unlink()
    with open_source(path) as source:
        read = read_images(source)
    assert len(read.images) == 4
    assert read.skipped.to_numpy().tolist() == [["..hidden/4.png", "no such file"]]


def broken_npz(folder, **arrays):
    np.savez(folder / "set.npz", **arrays)
    return folder / "set.npz"


GREY = np.zeros((2, 8, 8), np.uint8)


@pytest.mark.parametrize(
    ("make", "options", "words"),
    [
        (csv, ["image=nothing"], "no column 'nothing'; expected one of image, label, split"),
        ("a.csv", "a,b\n1,2\n", "columns a, b; expected one called image, img, file"),
        ("a.csv", "image\n", "no row; expected one a picture"),
        ("a.csv", "image\nno.png\n", "'no.png': no such file; expected some of JPEG"),
        ("a.csv", "image\n\0\n", "no image among 1 files"),
        ("a.json", "[]", "not COCO"),
        ("a.json", '{"images": [{"id": 1}]}', "not COCO (KeyError: 'file_name')"),
        ("a.json", '{"images": []}', "no images; expected one or more"),
        ("a.npz", "PK", "not an npz archive of plain arrays"),
        ("a.parquet", "PAR1", "a.parquet: "),
        (lambda folder: broken_npz(folder, images=GREY.astype(float)), [], "'images' is float64 (2, 8, 8)"),
        (lambda folder: broken_npz(folder, images=GREY, labels=np.zeros(3)), [], "3 labels of 2 images"),
        (lambda folder: broken_npz(folder, other=GREY), [], "arrays other; expected images, train_images"),
        (lambda folder: broken_npz(folder, images=np.array([{}])), [], "not an npz archive of plain arrays"),
        (npz, ["image=x"], "no array 'x'; expected images, labels"),
        (FORMS["split/label"], ["image=x"], "--columns has no effect"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_source_is_said_in_one_line(tmp_path, audit, make, options, words):
    if isinstance(make, str):
        (tmp_path / make).write_text(options)
        path, options = tmp_path / make, []
    else:
        path = make(tmp_path)
    named = ["--columns", ",".join(options)] if options else []
    assert words in refusal(audit, path, *named)
    assert not (tmp_path / "report").exists()
