"""Garbled files and random settings give a result or a CandidError, and nothing else.

Here with the same few hundred cases each time; for longer, with new ones:
CANDID_FUZZ=20000 pytest tests/reliability/test_fuzz.py
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from candid.data.catalogue import read_catalogue
from candid.data.download import take_own
from candid.data.faces import load_images, read_faces, read_kept, read_splits
from candid.data.ingest import READERS, assemble
from candid.data.readers import Wanted
from candid.errors import CandidError
from candid.evaluation.model_file import read_card
from candid.evaluation.plots import read_history
from candid.files import read_json
from candid.sections import SECTIONS
from candid.settings import Section, check, read_yaml
from candid.training.data import training_set
from tests.data.made import encoded, pixels, tar_of, written, zip_of
from tests.reliability.corpus_models import keras_file
from tests.reliability.tiny import ROOT

Law = Callable[[Any], None]
PARAMS = read_yaml(ROOT / "params.yaml")
FACES = {f"{label}/{i}.png": encoded(pixels(i, 12, 12)) for i, label in enumerate(["happy", "sad"] * 3)}
ROW = " ".join(["7"] * 2304)
TABLE = f"emotion,pixels,Usage\n0,{ROW},Training\n3,{ROW},PublicTest\n"
SPLITS = "id,label,part,group\n" + "".join(
    f"{i},{'happy' if i % 2 else 'sad'},{('train', 'validation', 'test')[i % 3]},{i}\n" for i in range(12)
)
KEPT = "id,group,kept,reason\n" + "".join(f"{i},-1,true,\n" for i in range(12))
HISTORY = "epoch,loss,accuracy,val_loss,val_accuracy\n1,1.5,0.5,1,0.5\n2,1,0.6,1,0.6\n"


@st.composite
def garbled(draw: st.DrawFn, *seeds: bytes) -> bytes:
    """One of the seeds with some bytes changed, cut out, doubled, or put in."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        kind = draw(st.sampled_from(["byte", "number", "cut", "double", "insert", "end"]))
        if kind == "byte":
            data[at : at + 1] = bytes([draw(st.integers(0, 255))])
        elif kind == "number":
            value = draw(st.sampled_from([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF0000]))
            data[at : at + 4] = struct.pack("<I", value)
        elif kind == "cut":
            del data[at : at + draw(st.integers(1, 40))]
        elif kind == "double":
            data[at:at] = data[at : at + draw(st.integers(1, 40))]
        elif kind == "insert":
            data[at:at] = draw(st.binary(max_size=20))
        else:
            del data[at:]
    return bytes(data)


def file(name: str, data: bytes) -> Path:
    """Write the case below the present folder."""
    return written(Path(name), data)


def read_dataset(name: str, paths: list[Path]) -> None:
    """Read and decode all that a dataset's reader finds."""
    entry = read_catalogue()[name]
    items = READERS[entry.reader](name, entry, paths, Wanted())
    ingested = assemble(((name, item) for item in items), 12, "grey")
    assert len(ingested.images) == len(ingested.faces)


def an_archive_of_pictures(data: bytes) -> None:
    """As a user's own: download, then ingest."""
    with suppress(CandidError):
        take_own(file("own", data), Path("raw/folder.zip"))
        read_dataset("folder", [Path("raw/folder.zip")])


def a_table_of_pixels(data: bytes) -> None:
    """fer2013.csv, plain or in an archive."""
    kind = "tar.gz" if data[:2] == b"\x1f\x8b" else "csv"
    with suppress(CandidError):
        read_dataset("fer2013_csv", [file(f"fer2013.{kind}", data)])


def a_list_of_labels(data: bytes) -> None:
    """Of muxspace and of RAF-DB, each beside a whole archive."""
    picture = FACES["happy/0.png"]
    legend = file("muxspace.zip", zip_of({"images/a.png": picture, "data/legend.csv": data}))
    pictures = file("aligned.zip", zip_of({"a/train_00001_aligned.jpg": picture}))
    for name, paths in (("muxspace", [legend]), ("rafdb", [file("list_patition_label.txt", data), pictures])):
        with suppress(CandidError):
            read_dataset(name, paths)


def a_table_between_stages(data: bytes) -> None:
    """Whatever table it is taken for."""
    path = file("table.csv", data)
    for read in (read_faces, read_kept, read_splits, read_history):
        with suppress(CandidError):
            read(path)


def an_array(data: bytes) -> None:
    """data/faces.npy."""
    with suppress(CandidError):
        images = load_images(file("faces.npy", data))
        assert images.dtype == np.uint8


def what_train_reads(data: bytes) -> None:
    """The split and the class weights, in one file with a line between them."""
    splits, _, weights = data.partition(b"----")
    images = np.zeros((12, 8, 8), np.uint8)
    with suppress(CandidError):
        training_set(
            images, read_splits(file("splits.csv", splits)), read_json(file("weights.json", weights))
        )


def a_model(data: bytes) -> None:
    """A .keras file, up to the point where Keras opens it."""
    with suppress(CandidError):
        read_card(file("model.keras", data))


def a_params_file(data: bytes) -> None:
    """params.yaml as text."""
    with suppress(CandidError):
        params = read_yaml(file("params.yaml", data))
        for name, kind in SECTIONS.items():
            if isinstance(params, dict) and name in params:
                message(name, kind, params[name])


def settings_of_any_kind(case: tuple[str, list[str], Any]) -> None:
    """A whole section in which one value is another, whatever that is."""
    name, keys, value = case
    section = deepcopy(PARAMS[name])
    inner = section
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    line = message(name, SECTIONS[name], section)
    assert len(line) < 1000
    assert not line or f"params.yaml: {name}" in line or f"unknown key {name}" in line


def message(name: str, kind: type[Section], value: Any) -> str:
    """The fault of a section; empty where it is right."""
    try:
        check(name, kind, value)
    except CandidError as error:
        return str(error)
    return ""


def keys_of(section: Any, above: tuple[str, ...] = ()) -> list[list[str]]:
    """Every key of a section, with those above it."""
    keys = []
    for key, value in section.items():
        keys.append([*above, key])
        if isinstance(value, dict):
            keys += keys_of(value, (*above, key))
    return keys


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary() | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=4)
    ),
    max_leaves=8,
)
KEYS = [(name, key) for name in SECTIONS for key in keys_of(PARAMS[name])]
SOME_PARAMS = b"""# comment
split: &all
  protocol: random  # random, official, folds
  ratios: [0.9, 0.05, 5e-02]
  official: {train: [train], validation: [], test: [test]}
  groups: [subject, "sequence"]
  folds: 10
  fold: 0
  repeat: ~
  seed: 0x10
evaluate: {<<: *all, tta: none, bootstrap: 2_000, seed: !!int "7"}
"""
WEIGHTS = b'----{"happy": 1.0, "sad": 0.5}'


def npy(array: Any) -> bytes:
    """The bytes of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


LAWS: dict[Law, st.SearchStrategy[Any]] = {
    an_archive_of_pictures: garbled(
        *(zip_of(FACES, method) for method in (0, 8, 12, 14)),
        *(tar_of(*FACES.items(), mode=mode) for mode in ("w", "w:gz", "w:bz2", "w:xz")),
    ),
    a_table_of_pixels: garbled(
        TABLE.encode(),
        tar_of(("fer2013/fer2013.csv", TABLE.encode())),
        zip_of({"fer2013.csv": TABLE.encode()}),
    ),
    a_list_of_labels: garbled(
        b"user.id,image,emotion\n1,a.png,happiness\n2,b.png,anger\n",
        b"train_00001.jpg 5\ntrain_00002.jpg 1\n",
    ),
    a_table_between_stages: garbled(SPLITS.encode(), KEPT.encode(), HISTORY.encode()),
    an_array: garbled(npy(np.zeros((12, 8, 8), np.uint8)), zip_of({"a.npy": npy(np.zeros(3))})),
    what_train_reads: garbled(SPLITS.encode() + WEIGHTS),
    a_model: garbled(keras_file()),
    a_params_file: garbled(SOME_PARAMS),
    settings_of_any_kind: st.tuples(st.sampled_from(KEYS), ANYTHING).map(lambda case: (*case[0], case[1])),
}
"""Law -> the cases it takes."""
LONG = int(os.environ.get("CANDID_FUZZ", "0"))
BOUNDED = settings(
    max_examples=LONG or 60,
    deadline=None,
    derandomize=not LONG,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_nothing_but_a_result_or_a_line(law: Law, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    BOUNDED(given(LAWS[law])(law))()
