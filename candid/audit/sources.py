"""Where pictures, labels and splits come from: folders and archives, tables, COCO, Hugging Face, arrays."""

from __future__ import annotations

import io
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from candid.data import archives
from candid.data.archives import DAMAGED, Files, UnreadableError, _Folder, one_line, open_files
from candid.data.faces import LABELS
from candid.data.labels import PART_WORDS, label_key, label_name, part_of, read_layout
from candid.errors import CandidError
from candid.files import read_csv, read_json

COLUMNS = {
    "image": ("image", "img", "file", "file_name", "filename", "filepath", "path", "image_path"),
    "label": ("label", "labels", "class", "class_name", "category", "target"),
    "split": ("split", "part", "set", "subset", "usage"),
}
"""What columns of a table are called where nothing else is said; upper or lower case."""
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"),
    *(".avif", ".ppm", ".pgm", ".pbm", ".pnm", ".mpo"),
)
"""By which a file that is no picture is reported."""
NEW, OLD = "new", "old"
ARROW = "pip install 'candid-fer[parquet]'"
ARROW_FAULTS = (ValueError, OSError, KeyError, RuntimeError, AttributeError)
"""What pyarrow raises over damaged files; its own errors are kinds of these."""
ARRAYS = re.compile(r"(?:[a-z]+_)?(?:images?|x|data)(?:_[a-z]+)?", re.IGNORECASE)
"""Names of arrays of pictures in an .npz: images, train_images, x_test, ..."""

Columns = Mapping[str, str]
Described = dict[str, list[str]]


class Source(NamedTuple):
    """Pictures, and what is known of them."""

    files: Files
    describe: Callable[[list[str]], Described]  # names that could be read -> "label", "part"
    listed: bool  # a table lists the pictures: every name is one, and one that can't be read is a fault


@contextmanager
def open_source(
    path: Path, leave_out: Path | None = None, use_labels: bool = True, columns: Columns | None = None
) -> Iterator[Source]:
    """Open a set of pictures, whatever holds it.

    Args:
        path: a folder, zip or tar of pictures; a CSV or parquet table that lists pictures, a COCO JSON; a
            folder of parquet files that hold them (Hugging Face's datasets); an .npz of arrays.
        leave_out: a folder to pass over, that of the results.
        use_labels: False where folders are no classes, or labels do not matter.
        columns: of a table: image, label, split -> its column's name; of an .npz: image, label.

    Raises:
        CandidError: no such path, a damaged file, a column that is not there.

    Example:
        >>> with open_source(Path("data/sample.zip")) as source:
        ...     len(source.files.names) > 1000
        True
    """
    columns, kind = columns or {}, path.suffix.lower()
    if kind in TABLES and path.is_file():
        files, table = TABLES[kind](path, [path], columns)
    elif path.is_dir() and (parquet := _parquet_files(path)):
        files, table = _read_parquet(path, parquet, columns)
    else:
        with open_files(path, leave_out) as opened:
            yield Source(opened, lambda names: labels_and_parts(names, use_labels), False)
        return
    if not use_labels:
        table["label"] = ""
    if not table["part"].any():
        folders = labels_and_parts(table.index.tolist(), False)["part"]
        table["part"] = folders if any(folders) else _part_in(path.stem)
    yield Source(files, lambda names: {str(key): table[key][names].tolist() for key in table}, True)


def join(new: Source, old: Source) -> Source:
    """Join two sets; their names begin with new/ and old/."""

    def describe(names: list[str]) -> Described:  # they are sorted: new/ comes first
        own = [source.describe(_own_names(key, names)) for key, source in ((NEW, new), (OLD, old))]
        return {column: [*own[0][column], *own[1][column]] for column in ("label", "part")}

    return Source(_Joined({NEW: new.files, OLD: old.files}), describe, new.listed or old.listed)


def _own_names(key: str, names: Iterable[str]) -> list[str]:
    """Of names in a joined set those of one, as that set has them."""
    return [name.removeprefix(f"{key}/") for name in names if name.startswith(f"{key}/")]


def labels_and_parts(names: list[str], use_labels: bool) -> Described:
    """Read classes and parts of a split from the folders, as ingest does; one class alone is none."""
    folders = [name.rpartition("/")[0] for name in names]
    places = read_layout(sorted(set(folders)), lambda folder: label_key(folder) in LABELS)
    keys = {folder: label_key(place.label) if use_labels else "" for folder, place in places.items()}
    several = len(set(keys.values())) > 1
    return {
        "label": [keys[folder] if several else "" for folder in folders],
        "part": [places[folder].part for folder in folders],
    }


def _of_its_set(method: str) -> Any:
    """Make the method that asks the set which a name is of."""

    def ask(joined: _Joined, name: str) -> Any:
        key, _, own = name.partition("/")
        return getattr(joined.sets[key], method)(own)

    return ask


class _Joined(Files):
    size, read, location = _of_its_set("size"), _of_its_set("read"), _of_its_set("location")
    stamp, address, _open = _of_its_set("stamp"), _of_its_set("address"), _of_its_set("_open")

    def __init__(self, sets: Mapping[str, Files]) -> None:
        super().__init__(sets[NEW].path)
        self.sets = sets
        self.names = [f"{key}/{name}" for key, files in sorted(sets.items()) for name in files.names]

    def in_quickest_order(self, names: Iterable[str]) -> list[str]:
        every = list(names)
        ordered = {key: files.in_quickest_order(_own_names(key, every)) for key, files in self.sets.items()}
        return [f"{key}/{name}" for key, own in ordered.items() for name in own]


class _Paths(_Folder):
    """Pictures on disk that a table names."""

    def __init__(self, path: Path, paths: dict[str, Path]) -> None:
        Files.__init__(self, path)
        self._paths, self.names = paths, sorted(paths)

    def size(self, name: str) -> int:
        with suppress(OSError):
            if self._paths[name].is_file():
                return super().size(name)
        raise UnreadableError("no such file")


class _Cells(Files):
    """Pictures that lie in cells of a table or in arrays; `read_cell(i)` gives the bytes of the i-th."""

    def __init__(self, path: Path, names: list[str], size: int, read_cell: Callable[[int], bytes]) -> None:
        super().__init__(path)
        self._rows = {name: row for row, name in enumerate(names)}
        self._size, self._cell = size, read_cell
        self.names = sorted(names)

    def size(self, name: str) -> int:
        """Of each the same share of the file: the exact one is known only when the cell is read."""
        return self._size // len(self._rows) if name in self._rows else 0

    def read(self, name: str) -> bytes:
        return self._cell(self._rows[name])

    def in_quickest_order(self, names: Iterable[str]) -> list[str]:
        return sorted(names, key=self._rows.__getitem__)

    def _open(self, name: str) -> IO[bytes]:
        return io.BytesIO(self.read(name))


def _read_csv(path: Path, _: list[Path], columns: Columns) -> tuple[Files, pd.DataFrame]:
    table = read_csv(path, [])
    names = _columns(path, table.columns.tolist(), columns)
    if not len(table):
        raise CandidError(f"{path}: no row; expected one a picture")
    cells = {key: table[name].tolist() for key, name in names.items()}
    return _from_paths(path, path.parent, cells)


def _from_paths(path: Path, root: Path, cells: Mapping[str, list[str]]) -> tuple[Files, pd.DataFrame]:
    """Of rows that name one picture equal ones count once; others are copies that the audit shows."""
    empty = [""] * len(cells["image"])
    labels, parts = cells.get("label", empty), map(part_of, cells.get("split", empty))
    rows = dict.fromkeys(zip(cells["image"], map(label_name, labels), parts, strict=True))
    times, paths, kept = Counter(image for image, _, _ in rows), {}, {}
    for number, (image, label, part) in enumerate(rows, start=1):
        name = one_line(os.path.normpath(image)) + (f" (entry {number})" if times[image] > 1 else "")
        paths[name], kept[name] = root / image, (label, part)
    table = pd.DataFrame.from_dict(kept, orient="index", columns=["label", "part"], dtype=object)
    return _Paths(path, paths), table


def _read_coco(path: Path, *_: Any) -> tuple[Files, pd.DataFrame]:
    """A picture's label is all its categories, "cat + dog"; columns have no effect."""
    content = read_json(path)
    try:
        categories = {each["id"]: str(each["name"]) for each in content.get("categories", [])}
        labels: dict[Any, set[str]] = {each["id"]: set() for each in content["images"]}
        for each in content.get("annotations", []):
            if each["image_id"] in labels and each.get("category_id") in categories:
                labels[each["image_id"]].add(categories[each["category_id"]])
        names = [str(each["file_name"]) for each in content["images"]]
        joined = [" + ".join(sorted(labels[each["id"]])) for each in content["images"]]
    except (AttributeError, KeyError, TypeError) as error:
        fields = "images (id, file_name), annotations (image_id, category_id), categories (id, name)"
        fault = f"not COCO ({type(error).__name__}: {error})"
        raise CandidError(f"{path}: {fault}; expected {fields}") from None
    if not names:
        raise CandidError(f"{path}: no images; expected one or more")
    folder, stem = path.parent, path.stem.rpartition("_")[2]  # images/val2017 for instances_val2017
    roots = [each / below for each in (folder, folder.parent)
             for below in ("", "images", stem, f"images/{stem}")]  # fmt: skip
    root = next((each for each in roots if (each / names[0]).is_file()), folder)
    return _from_paths(path, root, {"image": names, "label": joined})


def _read_npz(path: Path, _: list[Path], columns: Columns) -> tuple[Files, pd.DataFrame]:
    """Arrays N x H x W (x 1, 3 or 4), uint8; each part may have its own: train_images, train_labels."""
    names: list[str] = []
    cells: list[NDArray[np.uint8]] = []
    described: Described = {"label": [], "part": []}
    try:
        with np.load(path, allow_pickle=False) as archive:
            declared, there = sum(info.file_size for info in archive.zip.infolist()), archive.files
            if declared > max(archives.MAX_EXPANSION * path.stat().st_size, archives.FREE_BYTES):
                raise CandidError(f"{path}: declares {declared:,} bytes, which it can't hold")
            if missing := sorted({*columns.values()} - {*there}):
                raise CandidError(f"{path}: no array {missing[0]!r}; expected {', '.join(there)}")
            for key in [columns["image"]] if "image" in columns else filter(ARRAYS.fullmatch, there):
                label = columns.get("label", next((name for name in there if _is_beside(key, name)), ""))
                images, labels = archive[key], archive[label] if label else None
                shape = images.shape[3:] if images.ndim >= 3 else None
                if images.dtype != np.uint8 or shape not in ((), (1,), (3,), (4,)):
                    kind = f"{images.dtype} {images.shape}; expected uint8, N x H x W, or x 3"
                    raise CandidError(f"{path}: array {key!r} is {kind}")
                if labels is not None and len(labels) != len(images):
                    raise CandidError(f"{path}: {len(labels):,} labels of {len(images):,} images")
                rows = [()] * len(images) if labels is None else [np.ravel(row).tolist() for row in labels]
                described["label"] += [" ".join(map(str, row)) for row in rows]
                described["part"] += [_part_in(key)] * len(images)
                names += [f"{key}/{row:06d}" for row in range(len(images))]
                cells.extend(images[..., 0] if shape == (1,) else images)
            if not names:
                expected = "expected images, train_images, x_test, ..."
                raise CandidError(f"{path}: arrays {', '.join(there)}; {expected}")
    except (*DAMAGED, TypeError) as error:
        raise CandidError(f"{path}: not an npz archive of plain arrays: {error}") from None
    table = pd.DataFrame(described, names, dtype=object)
    return _Cells(path, names, path.stat().st_size, lambda row: _encoded(cells[row])), table


def _is_beside(images: str, name: str) -> bool:
    """Is this the array of the labels: train_labels of train_images, y_test of x_test?"""
    there = re.sub(r"images?|data", "labels?", images, flags=re.IGNORECASE)
    there = re.sub(r"(?<![a-z])x(?![a-z])", "y", there, flags=re.IGNORECASE)
    return there != images and re.fullmatch(there, name, re.IGNORECASE) is not None


def _encoded(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG" if pixels.shape[2:] == (4,) else "PPM")
    return buffer.getvalue()


def _parquet_files(folder: Path) -> list[Path]:
    """Parquet files of a folder, where it holds no picture beside."""
    paths = sorted(folder.rglob("*.parquet"))
    pictures = paths and any(path.suffix.lower() in SUFFIXES for path in folder.rglob("*"))
    return [] if pictures else paths


def _read_parquet(path: Path, paths: list[Path], columns: Columns) -> tuple[Files, pd.DataFrame]:
    """Cells are {bytes, path} as Hugging Face writes them, bytes, or paths beside the file."""
    try:
        import pyarrow.parquet as arrow
    except ImportError:
        raise CandidError(f"{path}: parquet needs pyarrow, which is not installed: {ARROW}") from None
    groups: list[tuple[Any, int, str, Path]] = []
    cells: list[tuple[int, int]] = []
    names: list[str] = []
    described: Described = {"label": [], "part": []}
    for each in paths:
        try:
            file = arrow.ParquetFile(each)
            schema, rows = file.schema_arrow, file.metadata.num_rows
            about = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
            features = about.get("info", {}).get("features", {})
            kinds = {
                "image": [field.name for field in schema if "bytes" in str(field.type)],
                "label": [name for name, kind in features.items() if kind.get("_type") == "ClassLabel"],
            }
            chosen = _columns(each, schema.names, columns, kinds)
            plain = [key for key in ("label", "split") if key in chosen]
            texts = path.is_file() and str(schema.field(chosen["image"]).type) in ("string", "large_string")
            read = [*plain, "image"] if texts else plain
            values = {key: file.read([chosen[key]]).column(0).to_pylist() for key in read}
        except ARROW_FAULTS as error:
            raise CandidError(f"{each}: not a parquet table of pictures: {error}") from None
        words = features.get(chosen.get("label", ""), {}).get("names", [])
        if texts and rows:
            named = {key: [_word(value, words) for value in values[key]] for key in read}
            return _from_paths(path, path.parent, named)
        here = each.relative_to(path).with_suffix("").as_posix() if each != path else path.stem
        split = next(filter(None, map(_part_in, reversed(here.split("/")))), "")
        described["label"] += [_word(label, words) for label in values.get("label", [None] * rows)]
        described["part"] += [part_of(str(value)) for value in values.get("split", ())] or [split] * rows
        names += [f"{one_line(here)}/{row:06d}" for row in range(rows)]
        for group in range(file.num_row_groups):
            cells += [(len(groups), row) for row in range(file.metadata.row_group(group).num_rows)]
            groups.append((file, group, chosen["image"], each.parent))
    if not names:
        raise CandidError(f"{path}: no row; expected one a picture")

    @lru_cache(maxsize=1)  # one group at a time: rows are read in order
    def group_cells(number: int) -> list[Any]:
        file, group, column, _ = groups[number]
        try:
            return list(file.read_row_group(group, [column]).column(0).to_pylist())
        except ARROW_FAULTS as error:
            raise UnreadableError(f"damaged in the table: {str(error)[:120]}") from None

    def read_cell(i: int) -> bytes:
        number, row = cells[i]
        cell, folder = group_cells(number)[row], groups[number][3]
        data = cell.get("bytes") or cell.get("path") if isinstance(cell, dict) else cell
        if isinstance(data, str):
            return _Paths(folder, {data: folder / data}).read(data)
        if not isinstance(data, bytes) or not data:
            raise UnreadableError("an empty cell; expected a picture's bytes or path")
        return data

    size = sum(each.stat().st_size for each in paths)
    return _Cells(path, names, size, read_cell), pd.DataFrame(described, names, dtype=object)


def _word(label: Any, words: list[str]) -> str:
    if label is None or isinstance(label, float):
        return "" if label is None or label != label else f"{label:g}"
    known = isinstance(label, int) and 0 <= label < len(words)
    return label_name(words[label] if known else str(label))


def _columns(
    path: Path, there: list[str], wanted: Columns, kinds: Mapping[str, list[str]] | None = None
) -> dict[str, str]:
    """Choose the columns for image, label and split: as the user says, by kind, or by usual names."""
    lower = {name.lower(): name for name in reversed(there)}
    chosen = {}
    for key, usual in COLUMNS.items():
        guesses = [*(kinds or {}).get(key, []), *(lower[name] for name in usual if name in lower)]
        if key in wanted and wanted[key] not in there:
            raise CandidError(f"{path}: no column {wanted[key]!r}; expected one of {', '.join(there)}")
        if key in wanted or guesses:
            chosen[key] = wanted.get(key) or guesses[0]
    if "image" not in chosen:
        expected = f"expected one called {', '.join(COLUMNS['image'][:3])}, ... with the pictures"
        raise CandidError(f"{path}: columns {', '.join(there)}; {expected}: name it by --columns image=NAME")
    return chosen


def _part_in(name: str) -> str:
    """The part that a word of a name stands for: instances_val2017, train-00000-of-00001."""
    words = re.findall(r"[^\W\d_]+", name.casefold())
    return next((PART_WORDS[word] for word in words if word in PART_WORDS), "")


TABLES = {".csv": _read_csv, ".json": _read_coco, ".npz": _read_npz, ".parquet": _read_parquet}
