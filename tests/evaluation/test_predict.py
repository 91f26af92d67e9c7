"""Views of a face, exact to the last bit, and outputs that are no probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from candid.errors import CandidError
from candid.evaluation.predict import check_probabilities, predict, views

FACES = np.random.default_rng(0).integers(0, 256, (3, 48, 48)).astype(np.uint8)


def test_one_view_and_its_mirror():
    assert [view.tolist() for view in views(FACES, "none", 48)] == [FACES.tolist()]
    plain, mirror = views(FACES, "flip", 48)
    np.testing.assert_array_equal(plain, FACES)
    np.testing.assert_array_equal(mirror[:, :, 0], FACES[:, :, -1])


def test_ten_crops_of_40_px_are_fed_as_they_are_to_a_net_of_40_px():
    crops = list(views(FACES, "ten_crop", 40))
    corners = [(0, 0), (0, 8), (8, 0), (8, 8), (4, 4)]
    assert len(crops) == 10
    for number, (top, left) in enumerate(corners):
        expected = FACES[:, top : top + 40, left : left + 40]
        np.testing.assert_array_equal(crops[2 * number], expected)
        np.testing.assert_array_equal(crops[2 * number + 1], expected[:, :, ::-1])


def test_ten_crops_are_enlarged_for_a_net_of_48_px_bilinearly():
    small, large = list(views(FACES, "ten_crop", 40)), list(views(FACES, "ten_crop", 48))
    for crop, enlarged in zip(small, large, strict=True):
        scale, shift = np.diag((1, 5 / 6, 5 / 6)), (0, -1 / 12, -1 / 12)  # pixel centres at halves
        size = enlarged.shape
        expected = affine_transform(crop.astype(float), scale, shift, size, order=1, mode="nearest")
        assert np.abs(enlarged - expected).max() < 1.01  # it rounds twice


def test_a_net_that_learned_from_crops_sees_the_centre():
    (centre,) = views(FACES, "none", 40)
    np.testing.assert_array_equal(centre, FACES[:, 4:44, 4:44])


@pytest.mark.parametrize("size", [48, 24, 97, 8])
def test_views_have_the_wanted_size_in_colour_too(size):
    faces = np.zeros((2, size, size, 3), np.uint8)
    for tta, number in (("none", 1), ("flip", 2), ("ten_crop", 10)):
        assert [view.shape for view in views(faces, tta, size)] == [faces.shape] * number


@pytest.mark.parametrize(
    "row",
    [[0.5, 0.4], [2.0, -1.0], [np.nan, 0.5], [np.inf, 0.0], [7.0, 3.0]],
    ids=["sum", "negative", "nan", "inf", "raw"],
)
def test_outputs_that_are_no_probabilities_name_the_face(row):
    with pytest.raises(CandidError, match="for face 9"):
        check_probabilities(np.array([[0.5, 0.5], row]), np.array([4, 9]))


def test_a_model_that_fails_at_work_ends_in_one_line():
    class Failing:
        input_shape = (None, 8, 8)

        def predict_on_batch(self, batch: np.ndarray) -> np.ndarray:
            raise RuntimeError("OOM when allocating\ntensor")

    with pytest.raises(CandidError, match="a batch of 3 faces: OOM when allocating tensor"):
        predict(Failing(), np.zeros((3, 8, 8), np.uint8), np.arange(3), "none")
