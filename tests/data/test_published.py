"""Ingest notices a known set that is not as it was published."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from candid.data import published
from candid.data.fingerprints import make_fingerprint, read_archive
from candid.data.ingest import assemble, read_all
from candid.data.published import as_json, compare_published
from candid.data.readers import Wanted
from tests.data.made import CATALOGUE, encoded, zipped

LABELS = ("happy", "sad", "fear")


def pictures(gain=1.0, count=90):
    """Drawn faces, files of CK+ by name; brighter by `gain`."""
    files = {}
    for i in range(count):
        coarse = Image.fromarray(np.random.default_rng(i).integers(40, 200, (9, 9), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((48, 48), Image.Resampling.BICUBIC)).astype(float)
        name = f"CK+48/{LABELS[i % 3]}/S{i:03d}_001_{i:08d}.png"
        files[name] = encoded(np.clip(smooth * gain, 0, 255).astype(np.uint8))
    return files


def findings(tmp_path, files, wanted, name="ck48"):
    entry = CATALOGUE[name]
    zipped(tmp_path / entry.archives[0].name, files)
    ingested = assemble(read_all({name: entry}, tmp_path, wanted), 48, "grey")
    return compare_published(ingested, {name: entry}, tmp_path, wanted)


@pytest.fixture
def known(tmp_path, monkeypatch):
    """The drawn set is the published one."""
    with read_archive("ck48", zipped(tmp_path / "ck48.zip", pictures())) as images:
        fingerprint = make_fingerprint("ck48", images)
    monkeypatch.setattr(published, "read_known", lambda: {"ck48": fingerprint})


def renamed(old, new):
    return {name.replace(old, new): data for name, data in pictures().items()}


@pytest.mark.parametrize("name", ["ck48", "folder"])
@pytest.mark.parametrize(
    ("files", "wanted", "changes"),
    [
        (pictures(), Wanted(), set()),
        (pictures(), Wanted({"happy": "happy"}), set()),
        (renamed("CK+48", "my/copy"), Wanted(), set()),
        (pictures(1.2), Wanted(), {"brightened"}),
        (dict([*pictures().items()][:60]), Wanted(), {"files missing"}),
        (renamed("/S", "/x"), Wanted(), {"files renamed"}),
        (renamed("happy/S000", "sad/S000"), Wanted(), {"labels changed"}),
    ],
    ids=["as it is", "a class", "elsewhere", "brightened", "missing", "renamed", "relabelled"],
)
def test_what_was_done_to_a_known_set_is_named(tmp_path, known, name, files, wanted, changes):
    (finding,) = findings(tmp_path, files, wanted, name)
    assert changes <= {*finding.changes}
    assert finding.as_published == as_json([finding])["ck48"]["as_published"] == (not changes)


def test_other_pictures_are_no_known_set(tmp_path, known):
    files = {f"smirk/{i}.png": encoded(np.full((48, 48), i, np.uint8)) for i in range(9)}
    assert findings(tmp_path, files, Wanted(), "folder") == []
    assert compare_published(assemble([], 48, "grey"), {}, tmp_path, Wanted()) == []
