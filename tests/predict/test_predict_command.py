"""The whole command: pictures, folders, archives, videos in; boxes, labels, a table out; faults in a line."""

from __future__ import annotations

import csv
import errno
import os
import shutil
import zipfile
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from candid.data.archives import open_files
from candid.data.images import decode
from candid.evaluation.model_file import load_model_file
from candid.evaluation.predict import predict
from candid.predict.command import Folder
from candid.predict.detectors import make_detector
from candid.predict.sources import Picture, Skipped, pictures
from tests.data.made import folder as write_all
from tests.data.made import tar_of, zipped
from tests.predict.predict_pictures import astronaut, encoded, exif, noise, on_face, pair
from tests.predict.tiny_model import CLASSES, change, write_tiny

MODEL = Path("models/pretrained/ferplus.keras")
DOT = encoded(noise(9, 9))
MADE_ONCE = cache(make_detector)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("model") / "tiny.keras", size=48, flat=True)


@pytest.fixture
def here(tmp_path, monkeypatch, model):
    """An empty folder with a model where a project has it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("candid.predict.command.make_detector", MADE_ONCE)
    (tmp_path / MODEL).parent.mkdir(parents=True)
    shutil.copy(model, MODEL)
    return tmp_path


@pytest.fixture
def command(candid):
    """Run it; gives status, what it prints, and its complaint."""
    return partial(candid, "predict")


def rows(path="predictions/predictions.csv"):
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def box(row):
    return [int(row[name]) for name in ("x", "y", "width", "height")]


def copies(folder="predictions"):
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*.jpg"))


def test_a_photo_becomes_a_box_a_label_and_a_row(here, command):
    write_all(here, {"photo.jpg": encoded(astronaut(), "JPEG")})
    status, out, complaint = command("photo.jpg")
    assert (status, complaint) == (0, "")
    assert f"model: {MODEL} (tiny, 3 classes, 48 px grey)" in out
    (row,) = rows()
    assert (row["file"], row["seconds"]) == ("photo.jpg", "")
    assert on_face(box(row))
    shares = {name: float(row[f"p_{name}"]) for name in CLASSES}
    assert sum(shares.values()) == pytest.approx(1, abs=1e-4)
    assert row["predicted"] == max(shares, key=lambda name: shares[name])
    assert f"photo.jpg: 1 face: {row['predicted']} {100 * shares[row['predicted']]:.0f} %" in out
    drawn = np.asarray(Image.open("predictions/photo.jpg")).astype(int)
    changed = np.abs(drawn - np.asarray(astronaut())).sum(2) > 120
    assert 200 < changed.sum() < 0.2 * changed.size


def test_a_folder_of_everything_is_used_and_reported(here, command):
    photo, turned = encoded(astronaut(), "JPEG"), astronaut().transpose(Image.Transpose.ROTATE_90)
    files = {
        "a.jpg": photo,
        "a.png": encoded(astronaut()),
        "sub/turned.jpg": encoded(turned, "JPEG", exif=exif(6)),
        "cmyk.tif": encoded(astronaut().convert("CMYK"), "TIFF"),
        "none.png": encoded(noise(300, 200)),
        "cut.png": encoded(astronaut())[:9999],
        "empty.jpg": b"",
        "clip.mp4": b"#EXTM3U\nfile:///etc/passwd\n",
        "phone.HEIC": b"\x00\x00\x00\x18ftypheic" + bytes(40),
        "notes.txt": b"no picture, and nobody said it was",
        "blob": b"\x00\x01",
    }
    write_all(here / "in", files)
    status, out, _ = command("in")
    assert status == 0
    assert [row["file"] for row in rows()] == ["in/a.jpg", "in/a.png", "in/cmyk.tif", "in/sub/turned.jpg"]
    assert all(on_face(box(row)) for row in rows())
    reasons = {row["file"]: row["reason"] for row in rows("predictions/skipped.csv")}
    assert set(reasons) == {"in/none.png", "in/cut.png", "in/empty.jpg", "in/clip.mp4", "in/phone.HEIC"}
    assert reasons["in/none.png"] == "no face found"
    assert reasons["in/clip.mp4"] == "no video in a known format"
    assert reasons["in/phone.HEIC"].startswith("HEIC, a format that is not read")
    assert all(f"{file}: {reason}" in out for file, reason in reasons.items())
    assert copies() == ["a-2.jpg", "a.jpg", "cmyk.jpg", "sub_turned.jpg"]


def test_every_name_gets_a_copy_of_its_own_within_the_folder(here, command):
    long = 118 * "é"
    names = (f"{long}.jpg", f"{long}.png", f"{long}e.png", "a.png", "a/x.png", "a_x.png", "files.txt/z.png")
    write_all(here / "in", dict.fromkeys(names, DOT))
    status, _, complaint = command("in", "--already-cropped")
    assert (status, complaint, len(rows())) == (0, "", 7)
    cut = [f"{75 * 'é'}.jpg", f"{75 * 'é'}-2.jpg", f"{74 * 'é'}e.jpg"]
    assert copies() == sorted([*cut, "a.jpg", "a_x.jpg", "a_x-2.jpg", "files.txt_z.jpg"])
    assert command("in", "--already-cropped")[0] == 0, "all of it is known for an earlier run's"
    folder = Folder(here / "deep/out")
    for inside in ("../b.png", "a/../../b.png", "/b.png", ".", "..", "\0"):
        folder.write_picture(inside, None, noise(9, 9))
    folder.write_picture("../clip.mp4", 1.5, noise(9, 9))
    assert len(copies("deep/out")) == 7
    assert not [path for path in here.glob("**/*b*.jpg") if path.parent != here / "deep/out"]


def test_a_copy_that_can_not_be_written_costs_that_copy_and_a_full_disk_ends_the_run(
    here, command, monkeypatch
):
    write_all(here, {"a.png": DOT, "b.png": DOT})
    write, fault = Folder.write_picture, errno.EILSEQ

    def picky(self, inside, *rest):
        if inside == "a.png":
            raise OSError(fault, os.strerror(fault))
        write(self, inside, *rest)

    monkeypatch.setattr(Folder, "write_picture", picky)
    status, out, _ = command("a.png", "b.png", "--already-cropped")
    assert status == 0
    assert [row["file"] for row in rows()] == ["a.png", "b.png"]
    assert copies() == ["b.jpg"]
    (skipped,) = rows("predictions/skipped.csv")
    assert skipped["reason"].startswith("labelled, but no copy of it could be written: ")
    assert f"a.png: {skipped['reason']}" in out
    fault = errno.ENOSPC
    status, _, complaint = command("a.png", "b.png", "--already-cropped")
    assert status == 1
    assert complaint.startswith("candid predict: No space left on device")


def test_a_second_run_replaces_the_first_and_nothing_else(here, command):
    write_all(here, {"one.png": DOT, "two.png": DOT})
    command("one.png", "--already-cropped")
    command("two.png", "--already-cropped")
    written = {path.name for path in Path("predictions").iterdir()}
    assert written == {"files.txt", "predictions.csv", "two.jpg"}
    Path("predictions/mine.txt").write_text("kept")
    status, _, complaint = command("one.png")
    assert status == 1
    assert "mine.txt" in complaint
    assert Path("predictions/two.jpg").exists()


def test_an_archive_is_read_once_for_all_its_pictures(tmp_path, monkeypatch):
    """One by one, a compressed tar would be unpacked from its start for each."""
    files = [("c.png", DOT), ("a.png", b"words"), ("clip.mp4", b""), ("b.txt", b"text")]
    (tmp_path / "in.tar.gz").write_bytes(tar_of(*files))
    calls = []

    @contextmanager
    def watched(*arguments):
        with open_files(*arguments) as source:
            read = source.read_all

            def noted(names):
                calls.append(list(names))
                return read(calls[-1])

            monkeypatch.setattr(source, "read_all", noted)
            yield source

    monkeypatch.setattr("candid.predict.sources.open_files", watched)
    opened = pictures([tmp_path / "in.tar.gz"], tmp_path / "out", 1)
    kinds = [(type(each), Path(each.file).name) for each in opened]
    assert kinds == [(Picture, "c.png"), (Skipped, "a.png"), (Skipped, "clip.mp4")]
    assert calls == [["a.png", "c.png"]]


def test_several_faces_and_an_archive_and_a_colour_model(here, command):
    zipped(here / "in.zip", {"pair.png": encoded(pair())})
    write_tiny(here / "colour.keras", size=40, channels=3, flat=True)
    status, out, _ = command("in.zip", "--model", "colour.keras", "--detector", "cascade")
    assert status == 0
    assert "colour.keras (tiny, 3 classes, 40 px rgb)" in out
    assert [row["file"] for row in rows()] == ["in.zip/pair.png"] * 2
    assert int(rows()[0]["x"]) < 200 < 260 < int(rows()[1]["x"])


def test_a_cropped_face_gets_the_probabilities_that_evaluate_gives(here, command):
    """Faces of any size and colour, as files: the numbers of `ingest`, then `evaluate`."""
    random, files = np.random.default_rng(0), {}
    for number, side in enumerate((48, 48, 64, 200)):
        crop = astronaut().crop((180 - number, 70, 180 - number + 104, 174)).resize((side, side))
        pixels = np.asarray(crop) // (number + 1) + random.integers(0, 9, (side, side, 3))
        image = Image.fromarray(pixels.astype(np.uint8))
        files[f"{number}.png"] = encoded(image.convert("L") if number % 2 else image)
    write_all(here / "faces", files)
    assert command("faces", "--already-cropped")[0] == 0
    faces = np.stack([decode(data, 48, "grey") for data in files.values()])
    expected = predict(load_model_file(MODEL)[0], faces, np.arange(4), "none")
    table = [[float(row[f"p_{name}"]) for name in CLASSES] for row in rows()]
    np.testing.assert_allclose(table, expected, rtol=2e-5)
    assert {row["score"] for row in rows()} == {""}
    assert [row["width"] for row in rows()] == ["48", "48", "64", "200"]


def test_an_archive_has_a_budget_of_pixels_and_what_came_before_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("candid.data.images.FREE_SET_PIXELS", 5000)
    monkeypatch.setattr("candid.data.images.MAX_PIXELS_A_BYTE", 0)
    zipped(tmp_path / "a.zip", {f"{name}.png": encoded(Image.new("L", (48, 48))) for name in "abc"})
    *opened, last = pictures([tmp_path / "a.zip"], tmp_path / "out", 1.0)
    assert [type(each) for each in opened] == [Picture, Picture]
    assert isinstance(last, Skipped)
    assert "more pixels than an archive of this size can hold" in last.reason


def video(path, shown, size=(512, 512)):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, size)
    for image in shown:
        writer.write(np.asarray(image)[..., ::-1].copy())
    writer.release()


def test_a_video_of_frames_that_would_fill_memory_is_skipped(tmp_path, monkeypatch):
    video(tmp_path / "a.mp4", [noise(64, 64)], (64, 64))
    monkeypatch.setattr("candid.predict.sources.MAX_PIXELS", 64 * 64 - 1)
    (only,) = pictures([tmp_path / "a.mp4"], tmp_path / "out", 1.0)
    assert isinstance(only, Skipped)
    assert only.reason == "frames of 4,096 pixels; at most 4,095 are read"


def test_a_video_gives_a_row_a_face_and_frame_with_its_time(here, command):
    video(here / "clip.mp4", [astronaut()] * 12 + [noise(512, 512)] * 8 + [astronaut()] * 5)
    assert command("clip.mp4", "--every", "0.5")[0] == 0
    assert [row["seconds"] for row in rows()] == ["0", "0.5", "1", "2"]
    assert all(on_face(box(row)) for row in rows())
    assert copies()[-1] == "clip-00002.000.jpg"
    assert command("clip.mp4", "--every", "0", "--already-cropped")[0] == 0
    assert [row["seconds"] for row in rows()][:3] == ["0", "0.1", "0.2"]


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
        (["face.png", "--model", "text.jpg"], ["text.jpg: expected a model of train, whose name ends in"]),
        (["face.png", "--model", "code.keras"], ["code.keras: holds", "Lambda"]),
        (["face.png", "--model", "card.keras"], ["card.keras: takes 48 x 48 px; the faces have 40 x 40 px"]),
        (["face.png", "--out", "text.jpg"], ["text.jpg: is a file"]),
        (["text.zip"], ["text.zip: neither a zip nor a tar archive"]),
        (["out.tar", "--out", "deep/out"], ["'../escaped/evil.png' leads outside the archive"]),
    ],
)
def test_faults_are_one_line_and_nothing_is_written(here, command, arguments, words):
    words_alone = dict.fromkeys(("text.jpg", "text.zip"), b"words")
    cut, evil = b"\x00\x00\x00\x18ftypisom" + bytes(40), tar_of(("../escaped/evil.png", DOT))
    write_all(here, {**words_alone, "cut.mp4": cut, "out.tar": evil})
    write_all(here, {"none.png": encoded(noise(300, 200)), "face.png": encoded(astronaut())})
    (here / "empty").mkdir()
    os.mkfifo(here / "pipe.png")
    spoiled = {"code": ("config.json", b'"Dense"', b'"Lambda"'), "card": ("candid.json", b"48", b"40")}
    for target, (entry, old, new) in spoiled.items():
        with zipfile.ZipFile(MODEL) as source:
            text = source.read(entry)
        change(Path(shutil.copy(MODEL, here / f"{target}.keras")), {entry: text.replace(old, new)})
    before = sorted(here.rglob("*"))
    status, _, complaint = command(*arguments)
    assert (status, complaint.count("\n")) == (1, 1)
    assert complaint.startswith("candid predict: ")
    assert all(word in complaint for word in words)
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize("arguments", [["--every", "nan"], ["--every", "-1"], ["--detector", "x"]])
def test_impossible_options_are_refused(command, arguments):
    status, _, complaint = command("x.png", *arguments)
    assert status == 2
    assert arguments[0] in complaint
