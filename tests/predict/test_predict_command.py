"""The whole command: pictures, folders, archives, videos in; boxes, labels, a table out; faults in a line."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import sys
import zipfile
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from candid.backend import use_backend
from candid.data.archives import open_files
from candid.data.images import decode
from candid.errors import CandidError, run
from candid.evaluation.model_file import load_model_file
from candid.evaluation.predict import predict
from candid.predict.command import main
from candid.predict.outputs import Folder
from candid.predict.sources import Picture, Skipped, pictures
from tests.predict.predict_pictures import CLASSES, astronaut, encoded, exif, make_model, noise, on_face
from tests.reliability.corpus_archives import tar_of


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    use_backend("tensorflow")
    return make_model(tmp_path_factory.mktemp("model") / "tiny.keras")


@pytest.fixture
def here(tmp_path, monkeypatch, model):
    """An empty folder with a model where a project has it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models/pretrained").mkdir(parents=True)
    shutil.copy(model, tmp_path / "models/pretrained/fer2013.keras")
    return tmp_path


@pytest.fixture
def command(monkeypatch, capsys):
    """Run it; gives status, what it says, and its complaint."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["predict", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run("predict", main, hint="")
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return call


def rows(path="predictions/predictions.csv"):
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_photo_becomes_a_box_a_label_and_a_row(here, command):
    (here / "photo.jpg").write_bytes(encoded(astronaut(), "JPEG"))
    status, said, complaint = command("photo.jpg")
    assert (status, complaint) == (0, "")
    assert "model: models/pretrained/fer2013.keras (tiny, 3 classes, 48 px grey)" in said
    (row,) = rows()
    assert row["file"] == "photo.jpg"
    assert row["seconds"] == ""
    assert on_face([int(row[name]) for name in ("x", "y", "width", "height")])
    given = {name: float(row[f"p_{name}"]) for name in CLASSES}
    assert sum(given.values()) == pytest.approx(1, abs=1e-4)
    assert row["predicted"] == max(given, key=lambda name: given[name])
    assert f"photo.jpg: 1 face: {row['predicted']} {100 * given[row['predicted']]:.0f} %" in said
    drawn = np.asarray(Image.open("predictions/photo.jpg")).astype(int)
    changed = np.abs(drawn - np.asarray(astronaut())).sum(2) > 120
    assert 200 < changed.sum() < 0.2 * changed.size


def test_json_lines_hold_the_same(here, command):
    (here / "photo.png").write_bytes(encoded(astronaut()))
    assert command("photo.png")[0] == 0
    (row,) = rows()
    assert command("photo.png", "--table", "jsonl")[0] == 0
    assert not (here / "predictions/predictions.csv").exists()
    (line,) = [json.loads(line) for line in (here / "predictions/predictions.jsonl").read_text().splitlines()]
    assert line["file"] == row["file"]
    assert line["seconds"] is None
    assert line["box"] == [int(row[name]) for name in ("x", "y", "width", "height")]
    assert line["score"] == float(row["score"])
    assert line["probabilities"] == {name: float(row[f"p_{name}"]) for name in CLASSES}


def test_a_folder_of_everything_is_used_and_reported(here, command):
    folder = here / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(encoded(astronaut(), "JPEG"))
    (folder / "a.png").write_bytes(encoded(astronaut()))
    (folder / "sub/turned.jpg").write_bytes(
        encoded(astronaut().transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif(6))
    )
    (folder / "cmyk.tif").write_bytes(encoded(astronaut().convert("CMYK"), "TIFF"))
    (folder / "none.png").write_bytes(encoded(noise(300, 200)))
    (folder / "cut.png").write_bytes(encoded(astronaut())[:9999])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "clip.mp4").write_bytes(b"#EXTM3U\nfile:///etc/passwd\n")
    (folder / "phone.HEIC").write_bytes(b"\x00\x00\x00\x18ftypheic" + bytes(40))
    (folder / "notes.txt").write_text("no picture, and nobody said it was")
    (folder / "blob").write_bytes(b"\x00\x01")
    status, said, _ = command("in")
    assert status == 0
    assert [row["file"] for row in rows()] == ["in/a.jpg", "in/a.png", "in/cmyk.tif", "in/sub/turned.jpg"]
    boxes = [[int(row[name]) for name in ("x", "y", "width", "height")] for row in rows()]
    assert all(map(on_face, boxes))
    reasons = {row["file"]: row["reason"] for row in rows("predictions/skipped.csv")}
    assert set(reasons) == {"in/none.png", "in/cut.png", "in/empty.jpg", "in/clip.mp4", "in/phone.HEIC"}
    assert reasons["in/none.png"] == "no face found"
    assert reasons["in/clip.mp4"] == "no video in a known format"
    assert reasons["in/phone.HEIC"].startswith("HEIC, a format that is not read")
    for file, reason in reasons.items():
        assert f"{file}: {reason}" in said
    written = {path.name for path in (here / "predictions").rglob("*.jpg")}
    assert written == {"a.jpg", "a-2.jpg", "cmyk.jpg", "turned.jpg"}


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg") if path.is_file())


def test_names_that_are_long_or_those_of_folders_get_copies_too(here, command):
    long = 118 * "é"
    for name in (f"{long}.jpg", f"{long}.png", f"{long}e.png", "a.png", "a.jpg/x.png", "a.jpg/y.png"):
        (here / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (here / "in" / name).write_bytes(encoded(noise(9, 9)))
    (here / "in/files.txt").mkdir()
    (here / "in/files.txt/z.png").write_bytes(encoded(noise(9, 9)))
    status, _, complaint = command("in", "--already-cropped")
    assert (status, complaint) == (0, "")
    assert len(rows()) == 7
    cut = 75 * "é"
    assert names(here / "predictions") == sorted(
        [
            f"{cut}.jpg",
            f"{cut}-2.jpg",
            f"{cut}-3.jpg",
            "a.jpg/x.jpg",
            "a.jpg/y.jpg",
            "a-2.jpg",
            "files-2.txt/z.jpg",
        ]
    )
    assert command("in", "--already-cropped")[0] == 0, "all of it is known for an earlier run's"


def test_a_folder_whose_name_a_copy_has_is_numbered_and_so_is_none(tmp_path):
    folder = Folder(tmp_path / "out")
    for inside in ("a.png", "a.jpg/x.png", "a.jpg/y.png", ".", "."):
        folder.write_picture(inside, None, noise(9, 9))
    assert names(tmp_path / "out") == ["_-2.jpg", "_.jpg", "a-2.jpg/x.jpg", "a-2.jpg/y.jpg", "a.jpg"]


@pytest.mark.parametrize("inside", ["../b.png", "a/../../b.png", "/b.png"])
@pytest.mark.parametrize("seconds", [None, 1.5])
def test_nothing_is_written_outside_the_folder(tmp_path, inside, seconds):
    folder = Folder(tmp_path / "deep/out")
    with pytest.raises(CandidError, match="leads out of"):
        folder.write_picture(inside, seconds, noise(9, 9))
    assert [*tmp_path.iterdir()] == []


def test_a_tar_that_leads_outside_is_refused_before_anything_is_written(here, command):
    (here / "in.tar").write_bytes(tar_of(("../escaped/evil.png", encoded(noise(9, 9))), mode="w"))
    before = sorted(here.rglob("*"))
    status, _, complaint = command("in.tar", "--already-cropped", "--out", "deep/out")
    assert status == 1
    assert "'../escaped/evil.png' leads outside the archive" in complaint
    assert sorted(here.rglob("*")) == before


def test_a_copy_that_can_not_be_written_costs_that_copy_and_a_full_disk_ends_the_run(
    here, command, monkeypatch
):
    for name in ("a.png", "b.png"):
        (here / name).write_bytes(encoded(noise(9, 9)))
    write = Folder.write_picture
    fault = errno.EILSEQ

    def picky(self, inside, *given):
        if inside == "a.png":
            raise OSError(fault, os.strerror(fault))
        write(self, inside, *given)

    monkeypatch.setattr(Folder, "write_picture", picky)
    status, said, _ = command("a.png", "b.png", "--already-cropped")
    assert status == 0
    assert [row["file"] for row in rows()] == ["a.png", "b.png"]
    assert names(here / "predictions") == ["b.jpg"]
    (told,) = rows("predictions/skipped.csv")
    assert told["file"] == "a.png"
    assert told["reason"].startswith("labelled, but no copy of it could be written: ")
    assert f"a.png: {told['reason']}" in said
    fault = errno.ENOSPC
    status, _, complaint = command("a.png", "b.png", "--already-cropped")
    assert status == 1
    assert complaint.startswith("candid predict: No space left on device")


def test_a_second_run_replaces_the_first_and_nothing_else(here, command):
    (here / "one.png").write_bytes(encoded(astronaut()))
    (here / "two.png").write_bytes(encoded(astronaut()))
    command("one.png")
    command("two.png", "one.png", "--limit", "1")
    assert sorted(path.name for path in (here / "predictions").iterdir()) == [
        "files.txt",
        "predictions.csv",
        "two.jpg",
    ]
    (here / "predictions/mine.txt").write_text("kept")
    status, _, complaint = command("one.png")
    assert status == 1
    assert "mine.txt" in complaint
    assert (here / "predictions/two.jpg").exists()


def test_an_archive_is_asked_once_for_all_its_pictures(tmp_path, monkeypatch):
    """One by one, a compressed tar would be unpacked from its start for each."""
    files = [("c.png", encoded(noise(9, 9))), ("a.png", b"words"), ("clip.mp4", b""), ("b.txt", b"text")]
    (tmp_path / "in.tar.gz").write_bytes(tar_of(*files))
    asked = []

    @contextmanager
    def watched(*given):
        with open_files(*given) as source:
            read = source.read_all

            def noted(names):
                asked.append(list(names))
                return read(asked[-1])

            monkeypatch.setattr(source, "read_all", noted)
            yield source

    monkeypatch.setattr("candid.predict.sources.open_files", watched)
    found = pictures([tmp_path / "in.tar.gz"], tmp_path / "out", 1)
    assert [(type(one), Path(one.file).name) for one in found] == [
        (Picture, "c.png"),
        (Skipped, "a.png"),
        (Skipped, "clip.mp4"),
    ]
    assert asked == [["a.png", "c.png"]]


def test_several_faces_and_an_archive(here, command):
    head = astronaut().crop((100, 0, 360, 260))
    pair = Image.new("RGB", (520, 260))
    pair.paste(head, (0, 0))
    pair.paste(head, (260, 0))
    with zipfile.ZipFile(here / "in.zip", "w") as archive:
        archive.writestr("pair.png", encoded(pair))
    assert command("in.zip")[0] == 0
    assert [row["file"] for row in rows()] == ["in.zip/pair.png"] * 2
    assert int(rows()[0]["x"]) < 200 < 260 < int(rows()[1]["x"])


def test_a_cropped_face_gets_the_probabilities_that_evaluate_gives(here, command):
    """Faces of any size and colour, as files: the numbers of `ingest`, then `evaluate`."""
    folder = here / "faces"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number, side in enumerate((48, 48, 64, 200)):
        crop = astronaut().crop((180 - number, 70, 180 - number + 104, 174)).resize((side, side))
        pixels = np.asarray(crop) // (number + 1) + random.integers(0, 9, (side, side, 3))
        image = Image.fromarray(pixels.astype(np.uint8))
        (folder / f"{number}.png").write_bytes(encoded(image.convert("L") if number % 2 else image))
    assert command("faces", "--already-cropped")[0] == 0
    path = here / "models/pretrained/fer2013.keras"
    faces = np.stack([decode(file.read_bytes(), 48, "grey") for file in sorted(folder.iterdir())])
    use_backend("tensorflow")
    expected = predict(load_model_file(path)[0], faces, np.arange(4), "none")
    given = [[float(row[f"p_{name}"]) for name in CLASSES] for row in rows()]
    np.testing.assert_allclose(given, expected, rtol=2e-5)
    assert {row["score"] for row in rows()} == {""}
    assert [row["width"] for row in rows()] == ["48", "48", "64", "200"]


def test_a_colour_model_sees_colour(here, command):
    make_model(here / "colour.keras", size=40, channels=(3,))
    (here / "photo.png").write_bytes(encoded(astronaut()))
    status, said, _ = command("photo.png", "--model", "colour.keras", "--detector", "cascade")
    assert status == 0
    assert "colour.keras (tiny, 3 classes, 40 px rgb)" in said


def test_an_archive_has_a_budget_of_pixels_and_what_came_before_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("candid.data.images.FREE_SET_PIXELS", 5000)
    monkeypatch.setattr("candid.data.images.MAX_PIXELS_A_BYTE", 0)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in "abc":
            archive.writestr(f"{name}.png", encoded(Image.new("L", (48, 48)), "PNG"))
    found = list(pictures([tmp_path / "a.zip"], tmp_path / "out", 1.0))
    assert [type(each) for each in found] == [Picture, Picture, Skipped]
    assert isinstance(found[2], Skipped)
    assert "more pixels than an archive of this size can hold" in found[2].reason


def test_a_video_of_frames_that_would_fill_memory_is_skipped(tmp_path, monkeypatch):
    writer = cv2.VideoWriter(str(tmp_path / "a.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 64))
    writer.write(np.zeros((64, 64, 3), np.uint8))
    writer.release()
    monkeypatch.setattr("candid.predict.sources.MAX_PIXELS", 64 * 64 - 1)
    (only,) = pictures([tmp_path / "a.mp4"], tmp_path / "out", 1.0)
    assert isinstance(only, Skipped)
    assert only.reason == "frames of 4,096 pixels; at most 4,095 are read"


def video(path, shown, rate=10):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, (512, 512))
    for image in shown:
        writer.write(np.asarray(image)[..., ::-1].copy())
    writer.release()


def test_a_video_gives_a_row_a_face_and_frame_with_its_time(here, command):
    video(here / "clip.mp4", [astronaut()] * 12 + [noise(512, 512)] * 8 + [astronaut()] * 5)
    assert command("clip.mp4", "--every", "0.5")[0] == 0
    assert [row["seconds"] for row in rows()] == ["0", "0.5", "1", "2"]
    assert all(on_face([int(row[name]) for name in ("x", "y", "width", "height")]) for row in rows())
    assert sorted(path.name for path in (here / "predictions/clip.mp4").iterdir())[-1] == "00002.000.jpg"
    assert command("clip.mp4", "--every", "0", "--limit", "3")[0] == 0
    assert [row["seconds"] for row in rows()] == ["0", "0.1", "0.2"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.png"], ["no face found in 1 picture;", "--detector", "--already-cropped"]),
        (["text.jpg"], ["text.jpg: no picture in a known format; expected"]),
        (["cut.mp4"], ["cut.mp4: no frame that can be decoded"]),
        (["absent.png"], ["absent.png: no such file"]),
        (["pipe.png"], ["pipe.png: neither a file nor a folder"]),
        (["empty"], ["no picture among these files"]),
        (["face.png", "--model", "absent.keras"], ["absent.keras: no such file"]),
        (
            ["face.png", "--model", "text.jpg"],
            ["text.jpg: expected a model of train, whose name ends in .keras"],
        ),
        (["face.png", "--model", "code.keras"], ["code.keras: holds", "Lambda"]),
        (["face.png", "--model", "card.keras"], ["card.keras: takes (None, 48, 48)", "40 px"]),
        (["face.png", "--classes", "happy,sad"], ["angry, happy, sad", "expected happy, sad"]),
        (["face.png", "--out", "text.jpg"], ["text.jpg: is a file"]),
        (["text.zip"], ["text.zip: neither a zip nor a tar archive"]),
    ],
)
def test_faults_are_one_line(here, command, arguments, words):
    (here / "none.png").write_bytes(encoded(noise(300, 200)))
    (here / "face.png").write_bytes(encoded(astronaut()))
    (here / "text.jpg").write_text("words")
    (here / "text.zip").write_text("words")
    (here / "empty").mkdir()
    os.mkfifo(here / "pipe.png")
    (here / "cut.mp4").write_bytes(b"\x00\x00\x00\x18ftypisom" + bytes(40))
    path = here / "models/pretrained/fer2013.keras"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(here / "code.keras", "w") as target:
        for name in source.namelist():
            text = source.read(name)
            target.writestr(name, text.replace(b'"Dense"', b'"Lambda"') if name == "config.json" else text)
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(here / "card.keras", "w") as target:
        for name in source.namelist():
            text = source.read(name)
            target.writestr(name, text.replace(b"48", b"40") if name == "candid.json" else text)
    status, _, complaint = command(*arguments)
    assert status == 1
    assert complaint.count("\n") == 1
    assert complaint.startswith("candid predict: ")
    for word in words:
        assert word in complaint


@pytest.mark.parametrize(
    "arguments",
    [["--limit", "0"], ["--margin", "9"], ["--every", "nan"], ["--every", "-1"], ["--detector", "x"]],
)
def test_impossible_options_are_refused(here, command, arguments):
    status, _, complaint = command("x.png", *arguments)
    assert status == 2
    assert arguments[0] in complaint
