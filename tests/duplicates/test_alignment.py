"""One image laid over another: every pixel as scipy has it, and sums of them cell by cell."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from candid.duplicates.alignment import cell_sums, quads, workspace
from tests.duplicates.made import made_pictures


@pytest.mark.parametrize("half", [False, True])
def test_sums_of_the_pixels_that_two_images_share(half):
    a, b = made_pictures(2)[:, :: 1 + half, :: 1 + half].copy()
    matrix, shift = np.array([[1.1, -0.05], [0.08, 0.9]]), np.array([2.0, -3.0])  # x, y
    work = workspace(48, 36)
    work.motion[:] = *matrix.ravel(), *shift
    cell_sums(a, quads(b), work, work.half if half else work.full)
    size, centre = len(a), (len(a) - 1) / 2
    turned, moved = matrix[::-1, ::-1], shift[::-1] * size / 48  # y, x
    start = centre - turned @ (centre, centre) + moved
    over, shown = (
        affine_transform(image, turned, start, order=1, cval=0.0)
        for image in (b.astype(float), np.ones(b.shape))
    )
    inside = shown > 0.999

    def by_cell(values):
        return (values * inside).reshape(6, size // 6, 6, size // 6).sum(axis=(1, 3)).ravel()

    expected = [
        by_cell(each) for each in (np.ones(a.shape), a, over, a.astype(float) ** 2, over**2, a * over)
    ]
    assert (work.cells[:, 0] == expected[0]).all()
    for which in range(1, 6):  # places are counted in 32nds of a pixel
        np.testing.assert_allclose(work.cells[:, which], expected[which], rtol=0.03)
