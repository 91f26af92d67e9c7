"""A kept index saves work and changes no result."""

from __future__ import annotations

import io
import os
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import ImageOps

from candid.audit.command import main
from candid.audit.images import read_images
from candid.audit.index import Index
from candid.audit.sources import open_source
from candid.data.archives import Files
from candid.duplicates.find import find_duplicates
from candid.duplicates.settings import DedupSettings
from tests.audit.sets import encoded, known_set, packed, photo
from tests.duplicates.made import jpeg, made_pictures


def report(path, out, *options):
    main([str(path), "--out", str(out), "--plant", "0", "--mirror", *map(str, options)])
    return {each.name: each.read_text(encoding="utf-8") for each in out.iterdir()}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "against"])
def test_the_audit_of_a_grown_set_is_that_without_an_index(tmp_path, kind):
    known_set(tmp_path / "made")
    more = shutil.copytree(tmp_path / "made", tmp_path / "more")
    shutil.copyfile(more / "train/happy/h1.png", more / "train/happy/a.png")  # an exact copy, first by name
    (more / "train/sad/new.jpg").write_bytes(encoded(photo(22), "JPEG", quality=50))
    (more / "test/sad/mirrored.png").write_bytes(encoded(ImageOps.mirror(photo(4))))
    (more / "train/happy/h3.png").write_bytes(encoded(photo(12)))
    (more / "train/happy/h5.png").rename(more / "test/happy/h5.png")
    (more / "train/happy/h2.png").unlink()
    form, options = ("folder", ["--against", tmp_path / "made"]) if kind == "against" else (kind, [])
    sets = [packed(tmp_path / name, form, tmp_path / f"{name} set") for name in ("made", "more")]
    for path in (*sets, sets[1]):  # the third time nothing is new
        kept = report(path, tmp_path / "kept", *options, "--index", tmp_path / "index")
        assert kept == report(path, tmp_path / "plain", *options)


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_what_did_not_change_is_not_decoded_nor_where_possible_read(tmp_path, monkeypatch, kind):
    known_set(tmp_path / "made")
    (tmp_path / "made/train/sad/cut.jpg").unlink()  # what can't be read is tried again
    path, index = packed(tmp_path / "made", kind, tmp_path / "set"), tmp_path / "index"
    report(path, tmp_path / "out", "--index", index)
    for name in ("decode", "full_digest"):
        monkeypatch.setattr(f"candid.audit.images.{name}", pytest.fail)
    if kind == "folder":
        os.utime(path / "train/happy/h0.png", (1, 1))  # read again: the bytes are the same
    elif kind == "zip":
        monkeypatch.setattr(Files, "read", pytest.fail)
    with open_source(path) as source:
        assert len(read_images(source, Index(index, DedupSettings(mirror=True))).images) == 20


def test_only_pairs_with_a_fresh_image_are_compared():
    images = made_pictures(4)
    images = np.concatenate([images, [jpeg(images[0], 60), jpeg(images[1], 60)]])
    known = pd.DataFrame({"a": [2], "b": [3], "similarity": [0.9], "kind": ["near"]})
    for fresh, pairs in (([], [[2, 3]]), ([5], [[1, 5], [2, 3]]), ([0, 1], [[0, 4], [1, 5], [2, 3]])):
        found = find_duplicates(images, fresh=np.isin(np.arange(6), fresh), known=known)
        assert found.pairs[["a", "b"]].to_numpy().tolist() == pairs


def test_an_index_of_other_settings_or_another_version_is_made_anew(tmp_path, capsys, monkeypatch):
    known_set(tmp_path / "set")
    index = ["--index", tmp_path / "index.npz"]
    report(tmp_path / "set", tmp_path / "a", *index, "--min-similarity", "1")
    assert report(tmp_path / "set", tmp_path / "b", *index) == report(tmp_path / "set", tmp_path / "c")
    assert capsys.readouterr().err.count("pairs are of another version or other settings") == 1
    monkeypatch.setattr("candid.audit.index._sources", lambda *_: "changed")
    report(tmp_path / "set", tmp_path / "b", *index)
    assert "index.npz: files and pairs are of another version" in capsys.readouterr().err


@pytest.mark.parametrize("fault", ["foreign", "cut", "garbled", "text"])
def test_what_is_no_index_is_refused_and_left_alone(tmp_path, candid, fault):
    known_set(tmp_path / "set")
    index = tmp_path / "index.npz"
    report(tmp_path / "set", tmp_path / "out", "--index", index)
    whole = index.read_bytes()
    np.savez(foreign := io.BytesIO(), images=np.zeros(3))
    faults = {"cut": whole[:-100], "garbled": whole[:300] + b"?" + whole[301:], "text": b"a,b\n"}
    index.write_bytes(content := faults.get(fault, foreign.getvalue()))
    status, _, error = candid("audit", tmp_path / "set", "--out", tmp_path / "out", "--index", index)
    assert status == 2
    assert "no index, or damaged" in error.splitlines()[-1]
    assert index.read_bytes() == content
