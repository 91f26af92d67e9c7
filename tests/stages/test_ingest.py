"""python -m stages.ingest, as dvc runs it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from candid.data.faces import load_images, read_faces
from candid.data.fingerprints import read_known
from tests.data.made import encoded, face, one_line, pixels, write_params, zipped

OUTPUTS = [
    *("data/faces.npy", "data/faces.csv", "data/rejected.csv", "data/planted.csv", "data/votes.csv"),
    "metrics/ingest.json",
]


def ck48(folder, extra=None):
    files = {f"CK+48/happy/S001_001_{i:08d}.png": face(i) for i in range(3)}
    return zipped(folder / "data/raw/ck48.zip", files | (extra or {}))


def test_the_stage_writes_its_outputs_and_again_the_same(run_stage, tmp_path):
    extra = {"CK+48/notes/S002_001_00000001.txt": b"text", "CK+48/happy/S002_002_00000001.png": b"x"}
    ck48(tmp_path, extra)
    write_params(tmp_path, dataset="ck48", max_rejected_share=0.25)
    first = run_stage("stages.ingest", PYTHONHASHSEED="1", TZ="Asia/Tokyo", LC_ALL="C")
    missing = "candid ingest: warning: ck48: not as published: files missing 981 of 981 probes\n"
    assert (first.returncode, first.stderr) == (0, missing)
    assert "classes: happy 3" in first.stdout
    before = {name: (tmp_path / name).read_bytes() for name in OUTPUTS}
    run_stage("stages.ingest", PYTHONHASHSEED="2", TZ="America/Lima", LC_ALL="C.UTF-8")
    assert {name: (tmp_path / name).read_bytes() for name in OUTPUTS} == before
    table = read_faces(tmp_path / "data/faces.csv")
    assert table["subject"].tolist() == ["ck48:S001"] * 3
    assert np.array_equal(load_images(tmp_path / "data/faces.npy")[1], pixels(1))
    rejected = pd.read_csv(tmp_path / "data/rejected.csv")
    assert rejected.values.tolist() == [["CK+48/happy/S002_002_00000001.png", "no picture in a known format"]]
    counted = json.loads((tmp_path / "metrics/ingest.json").read_text())
    assert (counted["faces"], counted["rejected"], counted["skipped"]) == (3, 1, 1)


def test_a_union_is_read_in_the_order_of_the_catalogue(run_stage, tmp_path):
    zipped(tmp_path / "data/raw/fer2013.zip", {"train/sad/Training_1.jpg": face(1)})
    colour = encoded(pixels(2, 100, 90, 3), "JPEG")
    legend = b"user.id,image,emotion\n1,a.jpg,HAPPINESS\n1,b.jpg,contempt\n1,c.jpg,sadness\n"
    pictures = dict.fromkeys(["images/a.jpg", "images/b.jpg", "images/c.jpg"], colour)
    zipped(tmp_path / "data/raw/muxspace.zip", {**pictures, "data/legend.csv": legend})
    write_params(tmp_path, dataset="fergit", image_size=32, color="rgb")
    assert run_stage("stages.ingest").returncode == 0
    table = read_faces(tmp_path / "data/faces.csv")
    assert table[["label", "dataset", "part"]].values.tolist() == [
        ["sad", "fer2013", "train"],
        ["happy", "muxspace", ""],
    ]
    assert load_images(tmp_path / "data/faces.npy").shape == (2, 32, 32, 3)


def test_a_picture_of_one_s_own_that_names_nobody_stops_the_run(run_stage, tmp_path):
    files = {"happy/p1_1.png": face(1), "sad/p1_2.png": face(2), "sad/holiday.png": face(3)}
    zipped(tmp_path / "data/raw/folder.zip", files)
    write_params(tmp_path, dataset="folder", subject_pattern="(p[0-9]+)_")
    one_line(run_stage("stages.ingest"), "sad/holiday.png", "'(p[0-9]+)_' finds no person", "every picture")
    zipped(tmp_path / "data/raw/folder.zip", {name: files[name] for name in list(files)[:2]})
    assert run_stage("stages.ingest").returncode == 0
    assert set(read_faces(tmp_path / "data/faces.csv")["subject"]) == {"folder:p1"}


@pytest.mark.parametrize("altered", ["warn", "stop"])
def test_a_known_set_that_is_not_as_published_is_named_or_stops_the_run(run_stage, tmp_path, altered):
    probes = read_known()["ck48"]
    names = zip(probes.names, probes.labels, strict=True)
    files = {f"CK+48/{label}/{name}.png": face(i) for i, (name, label) in enumerate(names)}
    zipped(tmp_path / "data/raw/ck48.zip", files)
    write_params(tmp_path, dataset="ck48", altered=altered)
    done = run_stage("stages.ingest")
    if altered == "stop":
        one_line(done, "ck48: not as published", "data.altered = stop")
        assert not (tmp_path / "data/faces.npy").exists()
    else:
        assert done.returncode == 0
        one = done.stderr.strip()
        assert one.startswith("candid ingest: warning: ck48: not as published: ")
        assert "\n" not in one
        counted = json.loads((tmp_path / "metrics/ingest.json").read_text())
        assert counted["published"]["ck48"]["as_published"] is False
