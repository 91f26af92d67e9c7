"""From records to the array and the tables: in the order given, with any number of workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from candid.data.catalogue import DataSettings
from candid.data.ingest import pool
from candid.data.ingest.assemble import CHUNK_FACES, assemble
from candid.data.ingest.decode import decode
from candid.data.ingest.faces_file import FacesFile
from candid.data.ingest.records import Record, Rejected, Skipped, Wanted
from candid.data.ingest.report import counts, faces_table, planted_table, refuse, rejected_table, summary
from candid.errors import CandidError
from candid.files import read_csv, write_csv
from tests.data.made import CATALOGUE, EVERYTHING, ROOT, SETTINGS, encoded, face, pixels, read, zipped


def items(count):
    """Faces of two datasets, with faults among them."""
    row = " ".join(["7"] * 2304)
    for i in range(count):
        name = "ck48" if i < count // 2 else "muxspace"
        if i % 11 == 3:
            yield name, Record(b"no picture", "sad", f"f{i}")
        elif i % 11 == 5:
            yield name, Rejected(f"f{i}", "a reason, with a comma")
        elif i % 11 == 7:
            yield name, Skipped(f"f{i}", "class", "contempt")
        elif i % 11 == 9:
            yield name, Record(row, "happy", f"f{i}", "train")
        else:
            yield name, Record(encoded(pixels(i % 13, 20, 20), "BMP"), "happy", f"f{i}", "test", "s:1", "q:1")


@pytest.mark.parametrize("color", ["grey", "rgb"])
def test_rows_and_faces_stand_in_the_order_of_the_files(tmp_path, color):
    found = assemble(items(60), tmp_path / "f.npy", 20, color, workers=1)
    array = np.load(tmp_path / "f.npy")
    table = faces_table(found)
    assert array.shape == ((len(table), 20, 20) if color == "grey" else (len(table), 20, 20, 3))
    assert array.dtype == np.uint8
    assert table["id"].tolist() == list(range(len(table)))
    for number, source in zip(table["id"], table["source"], strict=True):
        i = int(source[1:])
        if i % 11 != 9:
            assert np.array_equal(array[number], decode(encoded(pixels(i % 13, 20, 20), "BMP"), 20, color))
    numbers = [int(file[1:]) for file in rejected_table(found)["file"]]
    assert numbers == [i for i in range(60) if i % 11 in (3, 5)]
    assert len(found.skipped) == 5


def test_the_result_does_not_depend_on_the_number_of_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "FIRST_JOBS_HERE", 1)
    count = 4 * CHUNK_FACES
    one = assemble(items(count), tmp_path / "1.npy", 8, "grey", workers=1)
    two = assemble(items(count), tmp_path / "2.npy", 8, "grey", workers=2)
    assert one == two
    assert (tmp_path / "1.npy").read_bytes() == (tmp_path / "2.npy").read_bytes()


def test_a_killed_worker_is_one_line(monkeypatch):
    monkeypatch.setattr(pool, "FIRST_JOBS_HERE", 0)
    monkeypatch.setattr(pool, "decode_chunk", kill)
    with pytest.raises(CandidError, match="was killed"):
        list(pool.decode_all([(0, [b""])], 8, "grey", workers=2))


def kill(*_):
    os.kill(os.getpid(), 9)


def test_an_interrupt_is_one_line_with_processes_at_work(tmp_path):
    script = tmp_path / "endless.py"
    script.write_text("""
import itertools, signal
from candid.errors import run
from candid.data.ingest import pool
pool.FIRST_JOBS_HERE = 0
def main():
    for key, _ in pool.decode_all(((i, [b"x"]) for i in itertools.count()), 8, "grey", workers=2):
        if key == 0:
            print("at work", flush=True)
if __name__ == "__main__":
    # A shell that starts the tests in the background has SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    run("ingest", main)
""")
    with subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        os.killpg(process.pid, signal.SIGINT)
        errors = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert errors.startswith("candid ingest: interrupted")
    assert errors.count("\n") == 1


def test_records_are_drawn_only_as_they_are_needed(tmp_path, monkeypatch):
    drawn = []

    def endless():
        for i in range(100 * CHUNK_FACES):
            drawn.append(i)
            yield "x", Record(face(), "happy", str(i))

    class FullError(Exception):
        pass

    def full(*_):
        raise FullError

    monkeypatch.setattr(FacesFile, "append", full)
    with pytest.raises(FullError):
        assemble(endless(), tmp_path / "f.npy", 8, "grey", workers=1)
    assert len(drawn) == CHUNK_FACES


def test_large_files_make_small_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr("candid.data.ingest.assemble.CHUNK_BYTES", 3000)
    sizes = []

    def record(data, size, color):
        sizes.append(len(data))
        return np.zeros((len(data), size, size), np.uint8), [""] * len(data)

    monkeypatch.setattr(pool, "decode_chunk", record)
    files = (("x", Record(b"1" * 1000, "happy", str(i))) for i in range(10))
    assemble(files, tmp_path / "f.npy", 8, "grey", workers=1)
    assert sizes == [3, 3, 3, 1]


def test_an_empty_set_is_an_empty_array(tmp_path):
    assert assemble([], tmp_path / "f.npy", 8, "rgb").rows == []
    assert np.load(tmp_path / "f.npy").shape == (0, 8, 8, 3)


def test_the_array_grows_without_being_held(tmp_path):
    with FacesFile(tmp_path / "f.npy", (4, 4)) as file:
        for i in range(120):
            file.append(np.full((i % 3, 4, 4), i, np.uint8))
        with pytest.raises(ValueError, match="uint8"):
            file.append(np.zeros((1, 4, 5), np.uint8))
    array = np.load(tmp_path / "f.npy", mmap_mode="r")
    assert array[:, 0, 0].tolist() == [i for i in range(120) for _ in range(i % 3)]


def test_odd_names_survive_the_tables(tmp_path):
    names = ['a"b,c.png', "line\nbreak.png", "NA", "007", "ü.png"]
    found = assemble(
        (("x", Record(face(), "happy", name)) for name in names), tmp_path / "f.npy", 8, "grey", 1
    )
    write_csv(tmp_path / "faces.csv", faces_table(found))
    assert read_csv(tmp_path / "faces.csv", ["source"])["source"].tolist() == names


def test_counts_tell_classes_parts_and_datasets_apart(tmp_path):
    datasets = {name: CATALOGUE[name] for name in ("ck48", "muxspace")}
    found = assemble(items(110), tmp_path / "f.npy", 8, "grey", workers=1)
    told = counts(found, datasets)
    assert (told["faces"], told["rejected"], told["skipped"]) == (80, 20, 10)
    assert told["per_class"] == {"happy": 80}
    assert told["per_part"] == {"train": 10, "test": 70}
    assert told["per_dataset"]["ck48"] == {"faces": 40, "rejected": 10, "skipped": 5}
    assert (told["subjects"], told["sequences"]) == (1, 1)
    assert told["skipped_for"] == {"class": 10}
    assert summary(found, datasets)[0].startswith("ck48: 40 faces, 10 rejected, 5 skipped (with a label: 45;")


def test_too_many_rejected_files_stop_the_run_and_as_many_as_allowed_do_not(tmp_path):
    found = assemble(items(110), tmp_path / "f.npy", 8, "grey", workers=1)
    refuse(found, 0.2, None)
    with pytest.raises(CandidError, match=r"20 of 100 files \(20.00%\).*the first f3: no picture.*0.19"):
        refuse(found, 0.19, None)


def test_nothing_left_says_what_was_left_out(tmp_path):
    path = zipped(tmp_path / "f.zip", {"train/happy/Training_1.jpg": face(), "notes.txt": b"-"})
    wanted = Wanted(None, frozenset({"test"}))
    found = assemble((("x", item) for item in read("fer2013", [path], wanted)), tmp_path / "f.npy", 8, "grey")
    with pytest.raises(CandidError, match="no face is left: 1 by not_a_picture, 1 by part"):
        refuse(found, 1, None)


def test_a_class_without_a_face_names_those_there_are(tmp_path):
    found = assemble(items(20), tmp_path / "f.npy", 8, "grey", workers=1)
    with pytest.raises(CandidError, match="no face is labelled 'fear'; expected some of contempt, happy"):
        refuse(found, 1, ["happy", "fear"])


@pytest.mark.parametrize(
    ("dataset", "classes", "match"),
    [("fer2013", ["joyful"], "data.classes has 'joyful'"), ("folder", ["a", "b", "a"], "names 'a' twice")],
)
def test_impossible_classes_are_refused_before_anything_is_read(dataset, classes, match):
    settings: DataSettings = SETTINGS.model_copy(update={"classes": classes})
    with pytest.raises(CandidError, match=match):
        Wanted.of(settings, CATALOGUE[dataset])


def test_contempt_is_left_out_unless_it_is_asked_for():
    assert Wanted.of(SETTINGS, CATALOGUE["fergit"]).skips("contempt", "") == "class"
    assert Wanted.of(SETTINGS, CATALOGUE["ck48"]).skips("contempt", "") == ""
    assert Wanted.of(SETTINGS, CATALOGUE["folder"]).skips("contempt", "") == ""
    asked = SETTINGS.model_copy(update={"classes": ["contempt", "happy"]})
    assert Wanted.of(asked, CATALOGUE["muxspace"]).skips("contempt", "") == ""
    assert Wanted.of(asked, CATALOGUE["muxspace"]).skips("sad", "") == "class"
    assert EVERYTHING.skips("contempt", "") == ""


def test_planted_pairs_become_ids_and_lose_those_left_out(tmp_path):
    found = assemble(
        (("sample", Record(face(i), "happy", name)) for i, name in enumerate(["a", "b", "c"])),
        tmp_path / "f.npy",
        8,
        "grey",
    )
    path = zipped(
        tmp_path / "sample.zip", {"planted.csv": b"a,b,kind\nc,a,exact\nb,gone,zoomed\na,b,shifted+zoomed\n"}
    )
    table = planted_table(path, "planted.csv", faces_table(found))
    assert table.values.tolist() == [[0, 1, "shifted+zoomed"], [0, 2, "exact"]]
    assert planted_table(path, None, faces_table(found)).columns.tolist() == ["a", "b", "kind"]
