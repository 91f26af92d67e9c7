"""Views of a face whose probabilities are averaged (test-time augmentation); integer arithmetic only."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]


def crop_size(size: int) -> int:
    """Side of a ten-crop view: 5/6 of the face's (40 px of 48, as in TenCrop on FER2013)."""
    return round(size * 5 / 6)


def crop_side(faces_side: int, model_side: int) -> int:
    """Side of the crops: what the model takes, where that is less than the faces, else crop_size."""
    return model_side if model_side < faces_side else crop_size(faces_side)


def views(faces: Images, tta: str, size: int) -> Iterator[Images]:
    """Give the views of N faces one after the other, each N x size x size (x 3).

    Args:
        faces: uint8, N x H x H, or x 3.
        tta: none (the face), flip (and its mirror image) or ten_crop (four corners, centre, and the
            mirror images of these).
        size: what the model takes. A smaller view is enlarged to it, a larger one cut at its centre.
    """
    whole = faces.shape[1]
    crop = crop_side(whole, size)
    boxes = [(0, 0, whole)]
    if tta == "ten_crop":
        end = whole - crop
        boxes = [
            (top, left, crop)
            for top, left in ((0, 0), (0, end), (end, 0), (end, end), (middle(whole, crop),) * 2)
        ]
    for top, left, side in boxes:
        view = faces[:, top : top + side, left : left + side]
        yield fit(view, size)
        if tta != "none":
            yield fit(view[:, :, ::-1], size)


def middle(whole: int, part: int) -> int:
    """Where the middle crop begins, as in torchvision's CenterCrop (and in train)."""
    return round((whole - part) / 2)


def fit(view: Images, size: int) -> Images:
    """Enlarge square images to `size`, or cut them to it at the centre."""
    if view.shape[1] < size:
        return enlarge(view, size)
    start = middle(view.shape[1], size)
    return view[:, start : start + size, start : start + size]


def enlarge(images: Images, size: int) -> Images:
    """Bilinear enlargement of square images, pixel centres at halves, rounded half up.

    Weights are exact fractions with denominator 2 * size, so the result has the same bits everywhere
    (sums stay within 32 bits up to 1,400 px).
    """
    rows = _interpolate(images.astype(np.int32), size, axis=1)
    both = _interpolate(rows, size, axis=2)
    whole = (2 * size) ** 2
    return ((both + whole // 2) // whole).astype(np.uint8)


def _interpolate(values: NDArray[np.int32], size: int, axis: int) -> NDArray[np.int32]:
    source = values.shape[axis]
    position = (2 * np.arange(size) + 1) * source - size  # in units of 1 / (2 * size) source pixel
    low, weight = np.divmod(position, 2 * size)
    shape = [-1 if number == axis else 1 for number in range(values.ndim)]
    upper = weight.astype(np.int32).reshape(shape)
    first = values.take(np.clip(low, 0, source - 1), axis=axis)
    second = values.take(np.clip(low + 1, 0, source - 1), axis=axis)
    blend: NDArray[np.int32] = first * (2 * size - upper) + second * upper
    return blend
