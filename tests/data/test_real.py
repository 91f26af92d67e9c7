"""The real archives: the counts their publishers and our catalogue give. Skipped where they aren't."""

from __future__ import annotations

import io
import zipfile
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from candid.data.catalogue import members
from candid.data.ingest import assemble, counts, read_all
from candid.data.readers import Wanted
from tests.data.made import CATALOGUE, SETTINGS

pytestmark = pytest.mark.data
FER2013 = {
    **{"angry": 4953, "disgust": 547, "fear": 5121, "happy": 8989, "neutral": 6198, "sad": 6077},
    "surprise": 4002,
}
CK48 = {
    **{"angry": 135, "disgust": 177, "fear": 75, "happy": 207, "sad": 84, "surprise": 249},
    "contempt": 54,
}
"""Faces by class, as published."""


def items(name, mirror):
    return list(read_all(members(name, CATALOGUE), mirror, Wanted.of(SETTINGS, CATALOGUE[name])))


@pytest.fixture(scope="module")
def fergit(mirror):
    return assemble(items("fergit_sad", mirror), 48, "grey")


def test_fer2013_has_the_published_classes_parts_and_pixels(fergit, mirror):
    table = fergit.faces
    fer = table[table["dataset"] == "fer2013"]
    assert fer["label"].value_counts().to_dict() == FER2013
    assert fer["part"].value_counts().to_dict() == {"train": 28709, "validation": 3589, "test": 3589}
    counted = counts(fergit, members("fergit_sad", CATALOGUE))
    assert counted["per_dataset"]["fer2013"] == {"faces": 35887, "rejected": 0, "skipped": 0}
    with zipfile.ZipFile(mirror / "fer2013.zip") as archive:
        for i in range(0, 35887, 1999):
            pixels = np.asarray(Image.open(io.BytesIO(archive.read(fergit.faces["source"][i]))))
            assert np.array_equal(fergit.images[i], pixels), fergit.faces["source"][i]


def test_muxspace_is_all_accounted_for(fergit):
    """13,718 pictures: 9 of contempt, 36 without a label, 1 with two, and 13,672 faces."""
    counted = counts(fergit, members("fergit_sad", CATALOGUE))
    assert counted["per_dataset"]["muxspace"] == {"faces": 13672, "rejected": 37, "skipped": 9}
    reasons = Counter(fergit.rejected["reason"])
    assert reasons == {"no label in data/legend.csv": 36, "labels that differ: sad, surprise": 1}
    assert {*fergit.skipped["label"]} == {"contempt"}
    assert counted["faces"] == 35887 + 13672
    assert counted["per_part"] == {"train": 28709, "validation": 3589, "test": 3589, "none": 13672}


def test_fergit_has_the_count_of_the_paper(mirror):
    faces = [(name, item) for name, item in items("fergit", mirror) if hasattr(item, "data")]
    assert len(faces) == 35_887 + 13_690 - 9 - 268 == 49_300
    assert Counter(item.label for name, item in faces if name == "muxspace")["sad"] == 0
    sources = Counter((name, item.source.partition("#")[0]) for name, item in faces)
    assert Counter(sources.values()) == {1: 49_300 - 14, 2: 7}


def test_ferplus_has_eight_classes_and_the_parts_of_fer2013(mirror):
    records = [item for _, item in items("ferplus", mirror) if hasattr(item, "data")]
    assert Counter(record.part for record in records) == {"train": 25057, "validation": 3199, "test": 3152}
    assert Counter(record.label for record in records) == {
        **{"neutral": 11010, "happy": 9045, "surprise": 3960, "sad": 3748, "angry": 2659, "fear": 677},
        **{"disgust": 161, "contempt": 148},
    }
    assert {sum(record.votes) for record in records} <= {9, 10}


def test_ck48_has_118_subjects_with_sequences_of_three(mirror):
    table = assemble(items("ck48", mirror), 48, "grey").faces
    assert (len(table), table["subject"].nunique(), table["sequence"].nunique()) == (981, 118, 327)
    assert set(table["sequence"].value_counts()) == {3}
    assert table.groupby("sequence")["label"].nunique().max() == 1
    assert table["label"].value_counts().to_dict() == CK48
