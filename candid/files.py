"""Reading and writing the pipeline's files: nothing half-written ever stands under its final name."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from candid.errors import CandidError

if TYPE_CHECKING:  # loaded where a table is read: arrays are trained on where pandas is not installed
    import pandas as pd


@contextmanager
def writing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well, flush it to disk and rename it.

    The temporary name keeps the suffix, since some writers choose the format by it. If the block
    fails, the temporary file is removed and what stood under `path` stays.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
        aside.chmod(0o644)  # mkstemp gives 0600; what DVC caches should be readable by the group
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def files_there(folder: Path, ours: Collection[str], maker: str) -> set[str]:
    """Files in a folder for results; CandidError for a file, or where it holds what no `maker` wrote."""
    if folder.exists() and not folder.is_dir():
        raise CandidError(f"{folder}: is a file; expected a folder for the results, new or empty")
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    if foreign := sorted(there.difference(ours)):
        others = f"files that no {maker} wrote ({foreign[0]!r}, {len(foreign)} in all)"
        raise CandidError(f"{folder}: holds {others}; expected a new or empty folder: name one by --out")
    return there


def stamped_entry(name: str, size: int = 0) -> zipfile.ZipInfo:
    """Make the entry of a file in a zip that is the same on every machine and day."""
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.create_system, entry.external_attr, entry.file_size = 3, 0o644 << 16, size
    return entry


def md5(path: str | Path) -> str:
    """Fingerprint of a file as DVC takes it."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text with Unix line ends."""
    with writing(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON, indented, in the order given; NaN and infinity are refused (ValueError)."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table with a header, without the index; booleans as true and false."""
    flags = [name for name in table if table[name].dtype == bool]
    table = table.assign(**{str(name): np.where(table[name], "true", "false") for name in flags})
    text = table.to_csv(index=False, lineterminator="\n")
    if "\r" in text:  # Python's csv quotes no other line end than the one that it writes
        text = table.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    write_text(path, text)


def read_json(path: str | Path) -> Any:
    """Read JSON; CandidError where the file is missing or is not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CandidError(f"{path}: no such file; expected the output of an earlier stage") from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError, IsADirectoryError) as error:
        raise CandidError(f"{path}: not JSON: {error}") from None


def read_csv(path: str | Path, columns: Sequence[str], types: dict[str, Any] | None = None) -> pd.DataFrame:
    """Read a table written by a stage: the `columns` that must be there, and others behind them.

    `types`: column -> numpy type or "bool"; all others stay text, and an empty cell is "". CandidError: the
    file is missing, is no CSV, lacks a column, or a cell has the wrong type.
    """
    try:
        table = parse_csv(Path(path).read_bytes(), str(path))
    except FileNotFoundError:
        raise CandidError(f"{path}: no such file; expected the output of an earlier stage") from None
    except IsADirectoryError as error:
        raise CandidError(f"{path}: not a CSV table: {error}") from None
    missing = [name for name in columns if name not in table]
    if missing:
        raise CandidError(f"{path}: no column {missing[0]!r}; expected {','.join(columns)}")
    for name, kind in (types or {}).items():
        table[name] = _typed(table[name], kind, f"{path}: column {name!r}")
    return table[[*columns, *(name for name in table if name not in columns)]]


def parse_csv(content: bytes, at: str) -> pd.DataFrame:
    """Read a CSV table as text; CandidError, which names `at`, where it is none."""
    import pandas as pd

    try:
        table = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise CandidError(f"{at}: not a CSV table: {error}") from None
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes the first cells of longer rows for an index
        raise CandidError(f"{at}: rows of more cells than its header; expected as many")
    return table


def _typed(column: pd.Series[str], kind: Any, where: str) -> pd.Series[Any]:
    if kind == "bool":
        wrong = ~column.isin(["true", "false"])
        if wrong.any():
            row = int(wrong.argmax())
            raise CandidError(f"{where}, row {row}: {column.iloc[row]!r} is not true or false")
        return column == "true"
    try:
        return column.astype(kind)
    except (ValueError, OverflowError) as error:
        raise CandidError(f"{where}: {error}; expected {np.dtype(kind).name}") from None
