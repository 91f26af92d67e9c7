"""The audit on a cluster of several worker processes: the same pairs as here, even where one is killed."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps

from candid import cli
from candid.audit import cluster, command
from candid.audit.images import read_images
from candid.audit.sources import open_source
from candid.duplicates import candidates, find
from candid.duplicates.settings import Aligned
from candid.duplicates.views import search_views
from tests.audit.sets import encoded, known_set, packed, photo

STEPS = ("read_batch", "scan_cells", "verify_batch", "compare")
MANY = 50  # images; the index has some 28 cells

pytestmark = [  # Ray leaves files of its own open
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def workers():
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'candid-fer[ray]'")
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()
    gc.collect()  # here, where warnings of open files are ignored


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures with copies: cropped, framed, equal, mirrored, and as JPEG and PNG of the same pixels."""
    folder = tmp_path_factory.mktemp("set")
    for i in range(100):
        image = photo(i)
        copies = {"": encoded(image)}
        copies |= {"crop": encoded(image.crop((6, 5, 112, 95)), "JPEG", quality=80)} if i % 5 == 0 else {}
        copies |= {"frame": encoded(ImageOps.expand(image, 14, "white"))} if i % 7 == 0 else {}
        copies |= {"equal": encoded(image)} if i % 11 == 0 else {}
        copies |= {"mirror": encoded(ImageOps.mirror(image))} if i % 13 == 0 else {}
        for kind, data in copies.items():
            (folder / f"{i:03}{kind}.png").write_bytes(data)
    for i in range(5):
        image = photo(300 + i, 144, 144)
        (folder / f"detailed{i}.png").write_bytes(encoded(image))
        (folder / f"turned{i}.png").write_bytes(encoded(image.rotate(5, Image.Resampling.BICUBIC)))
    (folder / "large.jpg").write_bytes(encoded(photo(200, 900, 800), "JPEG"))
    with Image.open(folder / "large.jpg") as image:
        (folder / "large.png").write_bytes(encoded(image.convert("RGB")))
    (folder / "flat.png").write_bytes(encoded(Image.new("RGB", (64, 64), (90, 90, 90))))
    (folder / "cut.jpg").write_bytes(encoded(photo(1), "JPEG")[:500])
    return folder


def status(*arguments):
    with pytest.raises(SystemExit) as end:
        cli.main(["audit", "--engine", "ray", *map(str, arguments)])
    return end.value.code


def dying(name: str, flag: Path):
    """A function of the cluster whose worker is killed the first time that it is called."""

    def work(*arguments, **options):
        if not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return getattr(cluster, name)(*arguments, **options)

    return work


@pytest.mark.slow
@pytest.mark.parametrize("killed", [(), STEPS], ids=["calm", "killed"])
def test_a_cluster_finds_what_one_machine_finds(folder, workers, killed, monkeypatch, tmp_path):
    monkeypatch.setattr(find, "candidate_pairs", partial(candidates.candidate_pairs, many=MANY))
    monkeypatch.setattr(candidates, "MANY", MANY)
    mirror = not killed
    with open_source(folder) as source:
        here = read_images(source)
        expected, plain = (
            find.find_duplicates(here.pixels, "aligned", mirror, here.digests, originals=originals)
            for originals in (here.originals, None)
        )
        for name in killed:
            monkeypatch.setattr(cluster, name, dying(name, tmp_path / name))
        cluster.connect()
        there, found = cluster.read_and_search(source, Aligned(), mirror)
        np.testing.assert_array_equal(there.pixels[np.arange(len(here.pixels))], here.pixels)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(killed)
    assert plain.pairs["kind"].value_counts().loc["near"] > 30
    assert len(expected.pairs) >= len(plain.pairs) + 4  # the turned ones
    for one, two in ((expected.pairs, found.pairs), (expected.rejected, found.rejected)):
        pd.testing.assert_frame_equal(one, two)
    for one, two in ((here.images, there.images), (here.skipped, there.skipped)):
        pd.testing.assert_frame_equal(one, two, check_dtype=False)
    np.testing.assert_array_equal(expected.groups, found.groups)
    np.testing.assert_array_equal(expected.flat, found.flat)


@pytest.mark.slow
def test_a_full_cell_is_reported_and_archives_are_refused(tmp_path, workers, monkeypatch, capsys):
    known_set(tmp_path / "set")
    monkeypatch.setattr(cluster, "MOST_ROWS", 300)
    address, out = (tmp_path / "set").as_uri(), tmp_path / "out"
    assert command.main([address, "--engine", "ray", "--out", str(out), "--plant", "5"]) == 0
    said = json.loads((out / "audit.json").read_text())
    assert (said["images"], said["exact_copies"], said["classes"]) == (20, 1, 2)
    left = (1 + len(search_views())) * 18 - 300  # neither the flat one nor the second of the equal ones
    assert f"the search left out {left} entries of cells with more than 300" in capsys.readouterr().err
    assert status(packed(tmp_path / "set", "zip", tmp_path / "set.zip"), "--out", out) == 2
    assert "set.zip: --engine ray reads files only; expected a folder" in capsys.readouterr().err


def test_faults_are_one_line(tmp_path, monkeypatch, capsys):
    known_set(tmp_path / "set")
    monkeypatch.setitem(sys.modules, "ray", None)
    for path, line in (
        (tmp_path / "set", "--engine ray needs Ray: pip install 'candid-fer[ray]'"),
        ("nowhere://set", "nowhere://set: Protocol not known: nowhere; expected the address of a folder"),
    ):
        assert status(path, "--out", tmp_path / "out") == 2
        assert line in capsys.readouterr().err
