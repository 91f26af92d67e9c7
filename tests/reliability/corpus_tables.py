"""Bad tables: those that are published with pictures, and those that lie between the stages."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from candid.data.faces import LABELS, read_faces
from tests.data.made import face, folder, zip_of
from tests.reliability.corpus import Case, as_folder

ROW = " ".join(["7"] * 2304)
HEADER = "emotion,pixels,Usage"
LINES = [f"{i},{ROW},Training" for i in range(7)]
TABLE = "\n".join([HEADER, *LINES, ""])


def seven(project: Path) -> None:
    """All seven rows became faces, in their order."""
    faces = read_faces(project / "data/faces.csv")
    assert faces["label"].tolist() == [*LABELS[:7]]
    assert set(faces["part"]) <= {"train", ""}


def in_raw(files: dict[str, bytes]) -> Callable[[Path], object]:
    return lambda project: folder(project / "data/raw", files)


def fer2013(name: str, content: str | bytes, *says: str, share: float = 0.0) -> Case:
    """The contest's table in data/raw; it goes well where nothing is said."""
    data = content.encode() if isinstance(content, str) else content

    settings = {"data": {"dataset": "fer2013_csv", "max_rejected_share": share}}
    right = None if says else seven
    return Case(f"fer2013.csv {name}", in_raw({"fer2013.csv": data}), says=says, right=right, params=settings)


def with_row(row: str) -> str:
    return TABLE + row + "\n"


def pixel(value: str) -> str:
    """The table with one more row, in which one pixel is that."""
    return with_row(f"3,{value} {ROW[2:]},Training")


def columns(order: list[int], *more: str) -> str:
    """The table with its columns in another order, others behind them."""
    rows = [line.split(",") for line in TABLE.splitlines()]
    return "\n".join(",".join([*(cells[i] for i in order), *more]) for cells in rows) + "\n"


PUBLISHED = [
    fer2013("as it is", TABLE),
    fer2013("of 0 bytes", "", "data/raw/fer2013.csv", "expected emotion,pixels"),
    fer2013("with nothing but its header", HEADER + "\n", "no face is left"),
    fer2013("without pixels", columns([0, 2]), "columns 'emotion,usage'"),
    fer2013("without its header", "\n".join(LINES), "expected emotion,pixels"),
    fer2013("without Usage", columns([0, 1])),
    fer2013("with other columns", columns([0, 1, 2], "x", "y")),
    fer2013("in another order", columns([2, 1, 0])),
    fer2013("with a byte-order mark", "\ufeff" + TABLE),
    fer2013("with CRLF", TABLE.replace("\n", "\r\n")),
    fer2013("with empty lines", TABLE.replace("\n", "\n\n")),
    fer2013("with a header in other case", TABLE.replace(HEADER, " Emotion , PIXELS,usage")),
    fer2013("with CR only", TABLE.replace("\n", "\r")),
    fer2013("in quotes", "\n".join('"' + line.replace(",", '","') + '"' for line in TABLE.splitlines())),
    fer2013("between semicolons", TABLE.replace(",", ";"), "expected emotion,pixels"),
    fer2013("in UTF-16", TABLE.encode("utf-16"), "fer2013.csv", "not UTF-8"),
    fer2013("in Latin-1", with_row(f"3,{ROW},Training\xe9").encode("latin-1"), "not UTF-8"),
    fer2013("with zero bytes", TABLE.replace("7 7", "7\0 7"), "fer2013.csv"),
    fer2013("with an open quote", with_row('3,"' + ROW * 30), "line 9: not CSV"),
    fer2013("that is a picture", face(), "fer2013.csv"),
    fer2013("with emotion 7", with_row(f"7,{ROW},Training"), "line 9: label '7' is unknown"),
    fer2013("with an unknown Usage", with_row(f"3,{ROW},Exam"), "line 9: Usage 'Exam'"),
    fer2013("with a pixel of 300", pixel("300"), "fer2013.csv:9", "pixel value '300'"),
    fer2013("with a pixel in other digits", pixel("\u0667"), "fer2013.csv:9", "pixel value"),
    fer2013(
        "with a row too short", with_row("3,7 7 7,Training"), "fer2013.csv:9", "3 pixels; expected 2,304"
    ),
    fer2013("with an empty row", with_row("3,,Training"), "fer2013.csv:9", "0 pixels"),
    fer2013(
        "with a cell too many", with_row(f"3,{ROW},Training,x"), "fer2013.csv:9", "another number of cells"
    ),
    fer2013("with a million columns", HEADER + ",x" * 1_000_000 + "\n" + LINES[0], "another number of cells"),
    fer2013("with a row of a million cells", with_row("3" + ",x" * 1_000_000), "another number of cells"),
    fer2013("with half of its rows bad", TABLE + "3,1,Training\n" * 7, share=0.5),
]


def muxspace(name: str, legend: str | bytes | None, *says: str, **more: str) -> Case:
    """The archive of muxspace with that list."""
    lists = {} if legend is None else {"data/legend.csv": legend, **more}
    texts = {file: data.encode() if isinstance(data, str) else data for file, data in lists.items()}
    make = in_raw({"muxspace.zip": zip_of({"images/a.png": face(1)} | texts)})
    return Case(f"muxspace {name}", make, says=says, params={"data": {"dataset": "muxspace"}})


def rafdb(name: str, listing: str | bytes, *says: str) -> Case:
    """The archive of RAF-DB with that list."""
    data = listing.encode() if isinstance(listing, str) else listing
    pictures = zip_of({"aligned/train_00001_aligned.jpg": face(1)})
    make = in_raw({"list_patition_label.txt": data, "aligned.zip": pictures})
    return Case(f"rafdb {name}", make, says=says, params={"data": {"dataset": "rafdb"}})


LISTS = [
    muxspace("without its legend", None, "muxspace.zip", "0 files data/legend.csv"),
    muxspace("with two legends", "", "2 files data/legend.csv", **{"more/data/legend.csv": ""}),
    muxspace("with an empty legend", "", "legend.csv", "0 bytes"),
    muxspace("without emotion", "user.id,image\n1,a.png\n", "legend.csv", "columns 'user.id,image'"),
    muxspace("with a short row", "user.id,image,emotion\n1,a.png\n", "legend.csv, line 2", "2 cells"),
    muxspace("with an unknown word", "image,emotion\na.png,bored\n", "legend.csv, line 2", "'bored'"),
    muxspace("in UTF-16", "image,emotion\na.png,sad\n".encode("utf-16"), "legend.csv", "not UTF-8"),
    muxspace("with an open quote", 'image,emotion\n"' + "a" * 200_000, "legend.csv", "not CSV"),
    muxspace("about other pictures", "image,emotion\nb.png,sad\n", "images/a.png", "no label"),
    rafdb("empty", "", "list_patition_label.txt", "no label"),
    rafdb("with one word a line", "train_00001.jpg\n", "list_patition_label.txt, line 1"),
    rafdb("with a picture twice", "train_00001.jpg 1\n" * 2, "line 2", "each of another picture"),
    rafdb("in UTF-16", "train_00001.jpg 1\n".encode("utf-16"), "list_patition_label.txt", "not UTF-8"),
    rafdb("about missing pictures", "test_0009.jpg 1\n", "train_00001_aligned.jpg", "no label"),
]


def between(stage: str, file: str, name: str, change: Callable[[str], str | bytes], *says: str) -> Case:
    """A text between stages, changed by hand."""

    def make(project: Path) -> None:
        content = change((project / file).read_text(encoding="utf-8"))
        (project / file).write_bytes(content.encode() if isinstance(content, str) else content)

    return Case(f"{file} {name}", make, (stage,), (Path(file).name, *says), start=True)


faces = partial(between, "dedup", "data/faces.csv")
planted = partial(between, "dedup", "data/planted.csv")
kept = partial(between, "split", "data/kept.csv")
splits = partial(between, "class_weights", "data/splits.csv")
learnt = partial(between, "train", "data/splits.csv")
balance = partial(between, "train", "data/class_weights.json")


def array(name: str, write: Callable[[Path], object], *says: str) -> Case:
    """Another data/faces.npy."""
    return Case(
        f"faces.npy {name}", lambda project: write(project / "data/faces.npy"), ("dedup",), says, start=True
    )


def save(values: Any, **options: Any) -> Callable[[Path], object]:
    return lambda path: np.save(path, values, **options)


def header_only(shape: str) -> Callable[[Path], object]:
    """A .npy header with this shape, and no data."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return lambda path: path.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)


def renamed(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, faces=np.zeros((66, 24, 24), np.uint8))


def without_column(text: str) -> str:
    return "\n".join(line.rpartition(",")[0] for line in text.splitlines()) + "\n"


def last_line(new: str) -> Callable[[str], str]:
    return lambda text: "\n".join([*text.splitlines()[:-1], new, ""])


def weights(value: Any) -> Callable[[str], str]:
    return lambda text: json.dumps(json.loads(text) | {"sad": value})


BETWEEN = [
    array("of floats", save(np.zeros((66, 24, 24))), "data/faces.npy", "float64", "expected uint8"),
    array("of five channels", save(np.zeros((66, 24, 24, 5), np.uint8)), "data/faces.npy", "(66, 24, 24, 5)"),
    array("of one number", save(np.uint8(3)), "data/faces.npy"),
    array("with too few faces", save(np.zeros((3, 24, 24), np.uint8)), "66 rows, data/faces.npy 3"),
    array("of objects", save(np.array([{}]), allow_pickle=True), "data/faces.npy", "not an array of faces"),
    array("of 0 bytes", lambda path: path.write_bytes(b""), "data/faces.npy", "not an array of faces"),
    array("cut short", lambda path: path.write_bytes(path.read_bytes()[:-9]), "data/faces.npy"),
    array("that is an npz", renamed, "data/faces.npy"),
    array("that promises a terabyte", header_only("(1000000000000,)"), "data/faces.npy"),
    array("of a negative size", header_only("(-1, 24, 24)"), "data/faces.npy"),
    array("whose header is code", header_only("__import__('os').system('touch harm')"), "data/faces.npy"),
    array("that is a folder", as_folder, "data/faces.npy"),
    array("that is missing", lambda path: path.unlink(), "data/faces.npy", "no such file"),
    faces("without sequence", without_column, "no column 'sequence'"),
    faces("of 0 bytes", lambda text: "", "not a CSV table"),
    faces("with ids from 1", lambda text: text.replace("\n0,", "\n1,"), "'id'"),
    faces("with an id that is text", last_line("x,sad,a,folder,,,"), "'id'"),
    faces("in UTF-16", lambda text: text.encode("utf-16"), "not a CSV"),
    faces("with a short row", last_line("65,sad")),
    faces("with an open quote", last_line('65,"sad,a,folder,,,')),
    between("dedup", "data/faces.csv", "with an unknown dataset", last_line("65,sad,a,mine,,,"), "'mine'"),
    planted("with an unknown id", lambda text: "a,b,kind\n1,99,x\n"),
    kept("with kept: yes", last_line("65,-1,yes,"), "'yes'"),
    kept(
        "with rows too long",
        lambda text: text.replace("\n", ",x\n").replace(",x", "", 1),
        "rows of more cells",
    ),
    kept("with a row too long", last_line("65,-1,true,,x,y"), "not a CSV table"),
    kept("with a face missing", last_line(""), "65 ids"),
    kept("with a face twice", last_line("64,-1,true,")),
    kept("with a group of 1.5", last_line("65,1.5,true,"), "'group'"),
    kept("with a huge group", last_line(f"65,{2**70},true,"), "'group'"),
    kept("that keeps nothing", lambda text: text.replace("true", "false")),
    splits("of an unknown part", last_line("65,sad,exam,65"), "'exam'"),
    splits("without a label", last_line("65,,test,65")),
    splits("that is JSON", lambda text: '{"a": 1}'),
    splits("with an empty body", lambda text: text.splitlines()[0]),
    learnt("with an unknown id", last_line("999,sad,train,65"), "999"),
    learnt("with an id twice", last_line("1,sad,train,65")),
    balance("cut short", lambda text: text[:9], "not JSON"),
    balance("that is a list", lambda text: "[1, 2]"),
    balance("with NaN", weights(float("nan")), "sad = nan"),
    balance("with -1", weights(-1), "sad = -1"),
    balance("with text", weights("1"), "sad = '1'"),
    balance("nested deeply", lambda text: "[" * 100_000),
    balance("of another set", lambda text: '{"joy": 1}', "happy = None"),
]
CASES = [*PUBLISHED, *LISTS, *BETWEEN]
