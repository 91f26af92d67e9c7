"""The audit on a cluster of several worker processes: the same pairs as here, even where one is killed."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps

from candid.audit import cluster, command
from candid.audit.images import read_images
from candid.audit.sources import open_source
from candid.data.images import open_picture
from candid.duplicates import candidates, find
from candid.duplicates.candidates import NEAREST
from candid.duplicates.settings import Aligned
from candid.duplicates.views import search_views
from candid.errors import CandidError
from tests.audit.sets import encoded, known_set, packed, photo
from tests.data.made import folder as write_all

MANY = 50  # images; the index has some 28 cells
STEPS = ("read_batch", "scan_cells", "verify_batch", "compare")
WARNINGS = ("ResourceWarning", "DeprecationWarning", "pytest.PytestUnraisableExceptionWarning")
pytestmark = [pytest.mark.filterwarnings(f"ignore::{warning}") for warning in WARNINGS]  # of Ray itself


@pytest.fixture(scope="module")
def workers():
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'candid-fer[ray]'")
    cluster.connect()
    yield
    ray.shutdown()
    gc.collect()  # here, where warnings of open files are ignored


def made_set(folder):
    """Cropped, framed, equal, mirrored and turned copies, named by how many pictures there is one."""
    large = encoded(photo(200, 900, 800), "JPEG")
    files = {"large.jpg": large, "large.png": encoded(open_picture(large)), "cut.jpg": large[:500]}
    files["flat.png"] = encoded(Image.new("RGB", (64, 64), (90, 90, 90)))
    for i in range(100):
        image = photo(i, 144, 144)
        every = {1: image, 5: image.crop((8, 7, 134, 136)), 7: ImageOps.expand(image, 14, "white"), 11: image}
        every |= {13: ImageOps.mirror(image), 17: image.rotate(5)}
        files |= {f"{i:03} {n:02}.png": encoded(copy) for n, copy in every.items() if i % n == 0}
    write_all(folder, files)


def dying(name, flag):
    """A function of the cluster whose worker is killed the first time that it is called."""

    def work(*arguments, **options):
        if not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return getattr(cluster, name)(*arguments, **options)

    return work


@pytest.mark.slow
def test_a_cluster_finds_what_one_machine_finds_though_workers_die(workers, monkeypatch, tmp_path):
    monkeypatch.setattr(find, "candidate_pairs", partial(candidates.candidate_pairs, many=MANY))
    monkeypatch.setattr(candidates, "MANY", MANY)
    made_set(tmp_path / "set")
    with open_source(tmp_path / "set") as source:
        here = read_images(source)
        expected = find.find_duplicates(here.pixels, "aligned", True, here.digests, None, here.originals)
        for name in STEPS:
            monkeypatch.setattr(cluster, name, dying(name, tmp_path / name))
        there, found = cluster.read_and_search(source, Aligned(), mirror=True)
        np.testing.assert_array_equal(there.pixels[np.arange(len(here.pixels))], here.pixels)
    assert {path.name for path in tmp_path.iterdir()} == {"set", *STEPS}
    near = here.images["file"][expected.pairs["b"][expected.pairs["kind"] == "near"]]
    assert near.str.endswith(" 17.png").sum() >= 8  # 4 without a second look
    for one, two in [*zip(expected[:2], found[:2], strict=True), (here[0], there[0]), (here[4], there[4])]:
        pd.testing.assert_frame_equal(one, two, check_dtype=False)
    np.testing.assert_array_equal([expected.groups, expected.flat], [found.groups, found.flat])


@pytest.mark.slow
def test_a_full_cell_is_reported_and_archives_are_refused(tmp_path, workers, monkeypatch, capsys):
    known_set(tmp_path / "set")
    monkeypatch.setattr(cluster, "MOST_ROWS", 300)
    options = ["--engine", "ray", "--plant", "5", "--out", str(tmp_path / "out")]
    assert command.main([(tmp_path / "set").as_uri(), *options]) == 0
    said = json.loads((tmp_path / "out/audit.json").read_text())
    assert [said[name] for name in ("images", "exact_copies", "classes")] == [20, 1, 2]
    left = (1 + len(search_views(deep=True))) * 18 - 300  # without the flat one and one of the equal ones
    assert f"the search left out {left} entries of cells with more than 300" in capsys.readouterr().err
    archive = packed(tmp_path / "set", "zip", tmp_path / "set.zip")
    with pytest.raises(CandidError, match=r"set\.zip: --engine ray reads files only; expected a folder"):
        command.main([str(archive), *options])


def test_faults_are_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    options = ["--engine", "ray", "--out", str(tmp_path / "out")]
    with pytest.raises(CandidError, match=r"--engine ray needs Ray: pip install 'candid-fer\[ray\]'"):
        command.main([str(tmp_path), *options])
    with pytest.raises(CandidError, match="Protocol not known: nowhere; expected the address of a folder"):
        command.main(["nowhere://set", *options])

    class StoreError(Exception):
        pass

    def refuse(url):
        raise StoreError("no\ncredentials")

    monkeypatch.setattr("fsspec.core.url_to_fs", refuse)
    with pytest.raises(CandidError, match=r"s3://set: no\\ncredentials; expected the address of a folder"):
        command.main(["s3://set", *options])


def test_a_crop_of_the_cluster_keeps_its_nearest_centres_and_rows_that_count_what_was_cut():
    apart = np.concatenate([np.arange(NEAREST - 1), [90, 90, 91], [90], [0]])
    a, b, view = np.full(len(apart), 7), np.arange(100, 100 + len(apart)), np.zeros(len(apart), np.int8)
    view[-2], b[-1] = 1, 7  # another view; the row that counts
    hits = {"a": a, "b": b, "view": view, "apart": apart, "cut": (a == b).astype(int)}
    kept = cluster.nearest_centres(hits)
    np.testing.assert_array_equal(kept["b"], np.delete(b, NEAREST + 1))
    assert kept["cut"].tolist() == [0] * (NEAREST + 2) + [1]
