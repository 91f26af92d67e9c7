"""The real archives: the counts their publishers and our catalogue give. Skipped where they aren't."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from candid.data.catalogue import members
from candid.data.faces import load_images
from candid.data.ingest.assemble import assemble
from candid.data.ingest.readers import read_all
from candid.data.ingest.records import Wanted
from candid.data.ingest.report import counts, faces_table
from tests.data.made import CATALOGUE, SETTINGS

pytestmark = pytest.mark.data


def ingest(name, mirror, path):
    datasets = members(name, CATALOGUE)
    wanted = Wanted.of(SETTINGS, CATALOGUE[name])
    found = assemble(read_all(datasets, mirror, wanted), path, 48, "grey")
    return found, counts(found, datasets)


@pytest.fixture(scope="module")
def fergit(mirror, tmp_path_factory):
    path = tmp_path_factory.mktemp("fergit") / "faces.npy"
    return *ingest("fergit", mirror, path), load_images(path)


def test_fer2013_has_the_published_classes_and_parts(fergit):
    found, told, _ = fergit
    table = faces_table(found)
    fer = table[table["dataset"] == "fer2013"]
    assert fer["label"].value_counts().to_dict() == {
        "angry": 4953,
        "disgust": 547,
        "fear": 5121,
        "happy": 8989,
        "neutral": 6198,
        "sad": 6077,
        "surprise": 4002,
    }
    assert fer["part"].value_counts().to_dict() == {"train": 28709, "validation": 3589, "test": 3589}
    assert told["per_dataset"]["fer2013"] == {"faces": 35887, "rejected": 0, "skipped": 0}


def test_fer2013_keeps_the_pixels_that_pillow_reads(fergit, mirror):
    found, _, images = fergit
    with zipfile.ZipFile(mirror / "fer2013.zip") as archive:
        for i in range(0, 35887, 1999):
            data = archive.read(found.rows[i].source)
            assert np.array_equal(images[i], np.asarray(Image.open(io.BytesIO(data)))), found.rows[i]


def test_muxspace_is_all_accounted_for(fergit):
    """13,718 pictures: 9 of contempt, 36 without a label, 1 with two, and 13,672 faces."""
    found, told, _ = fergit
    assert told["per_dataset"]["muxspace"] == {"faces": 13672, "rejected": 37, "skipped": 9}
    reasons = [fault.reason for _, fault in found.rejected]
    assert reasons.count("no label in data/legend.csv") == 36
    assert reasons.count("labels that differ: sad, surprise") == 1
    assert {skipped.label for _, skipped in found.skipped} == {"contempt"}


def test_fergit_is_the_sum(fergit):
    found, told, images = fergit
    assert told["faces"] == len(found.rows) == len(images) == 35887 + 13672
    assert told["per_part"] == {"train": 28709, "validation": 3589, "test": 3589, "none": 13672}


def test_ck48_has_118_subjects_with_sequences_of_three(mirror, tmp_path):
    datasets = {"ck48": CATALOGUE["ck48"]}
    found = assemble(read_all(datasets, mirror, Wanted(None, None)), tmp_path / "f.npy", 48, "grey")
    table = faces_table(found)
    assert (len(table), table["subject"].nunique(), table["sequence"].nunique()) == (981, 118, 327)
    assert set(table["sequence"].value_counts()) == {3}
    assert table.groupby("sequence")["label"].nunique().max() == 1
    assert table["label"].value_counts()["contempt"] == 54
    assert ingest("ck48", mirror, tmp_path / "g.npy")[1]["per_class"] == {
        "angry": 135,
        "disgust": 177,
        "fear": 75,
        "happy": 207,
        "sad": 84,
        "surprise": 249,
        "contempt": 54,
    }
