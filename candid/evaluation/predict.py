"""Class probabilities of faces from a trained model, averaged over views (test-time augmentation)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from candid.errors import CandidError
from candid.evaluation.model_file import Card
from candid.evaluation.scores import Floats

Images = NDArray[np.uint8]
PIXELS_AT_ONCE = 512 * 48 * 48  # bounds the memory of activations whatever the size of the faces
TOGETHER, ROUNDS = 64, 5


def check_input(model: Any, card: Card, faces: Images, tta: str, path: str | Path) -> None:
    """Stop unless the model takes these faces (N x H x W, or x 3), or crops of them.

    A smaller net is right where it was trained on crops of such faces (then it sees their centre), or
    where `tta` makes crops for it.
    """
    height, width = faces.shape[1:3]
    color = "rgb" if faces.ndim == 4 else "grey"
    if card.color != color or (model.input_shape[3:] == (3,)) != (color == "rgb"):
        raise CandidError(f"{path}: a model of {card.color} faces {model.input_shape}; the faces are {color}")
    size = model.input_shape[1]
    takes_crops = size < height and (tta == "ten_crop" or card.image_size == height)
    if height != width or not (size == height or takes_crops):
        sizes = f"takes {size} x {size} px; the faces have {height} x {width} px"
        raise CandidError(f"{path}: {sizes}: expected the data.image_size that it was trained with")


def predict(model: Any, images: Images, ids: NDArray[np.int64], tta: str, quiet: bool = False) -> Floats:
    """Probabilities of the faces `ids`, the mean of their views: N x K, float64; CandidError for others."""
    size, channels = model.input_shape[1], model.input_shape[3:]
    step = max(1, min(512, PIXELS_AT_ONCE // size**2))
    averaged: list[Floats] = []
    for start in tqdm(range(0, len(ids), step), desc="predict", unit="batch", disable=quiet or None):
        chosen = ids[start : start + step]
        outputs: list[Floats] = []
        for view in views(np.asarray(images[chosen]), tta, size):
            batch = view.reshape(len(view), size, size, *channels)
            try:
                outputs.append(np.asarray(model.predict_on_batch(batch), np.float64))
            except Exception as error:  # each backend has its own, out of memory included
                reason = " ".join(str(error).split())[:200]
                raise CandidError(f"the model fails on a batch of {len(batch)} faces: {reason}") from None
            check_probabilities(outputs[-1], chosen)
        averaged.append(np.mean(outputs, axis=0))
    return np.concatenate(averaged)


def milliseconds(model: Any, images: Images, tta: str) -> float:
    """Time of a face: median of ROUNDS predictions of up to TOGETHER faces at once, after one to warm up."""
    ids, seconds = np.arange(min(len(images), TOGETHER)), []
    for _ in range(1 + ROUNDS):
        started = time.perf_counter()
        predict(model, images, ids, tta, quiet=True)
        seconds.append(time.perf_counter() - started)
    return 1000 * float(np.median(seconds[1:])) / len(ids)


def check_probabilities(outputs: Floats, ids: NDArray[np.int64]) -> None:
    """Stop at a row that is not finite, not within 0 to 1, or does not add up to 1 (to a hundredth)."""
    with np.errstate(invalid="ignore"):
        within = (outputs >= 0).all(axis=1) & (outputs <= 1).all(axis=1)
        fine = within & (np.abs(outputs.sum(axis=1) - 1) < 0.01)
    for row in np.flatnonzero(~fine):
        values = np.array2string(outputs[row], precision=3, threshold=4)
        expected = "expected probabilities that add up to 1"
        raise CandidError(f"the model gives {values} for face {ids[row]}; {expected}")


def views(faces: Images, tta: str, size: int) -> Iterator[Images]:
    """Give the views of N faces (uint8, N x H x H, or x 3) one after the other, each N x size x size (x 3).

    `tta`: none (the face), flip (and its mirror image) or ten_crop (four corners, centre, and the mirror
    images of these). A view smaller than the model's `size` is enlarged, a larger one cut at its centre.
    """
    side, corners = faces.shape[1], [(0, 0)]
    if tta == "ten_crop":
        crop = size if size < side else round(side * 5 / 6)  # 40 px of 48, as in TenCrop on FER2013
        end, middle, side = side - crop, round((side - crop) / 2), crop
        corners = [(0, 0), (0, end), (end, 0), (end, end), (middle, middle)]
    for top, left in corners:
        view = faces[:, top : top + side, left : left + side]
        yield fit(view, size)
        if tta != "none":
            yield fit(view[:, :, ::-1], size)


def fit(view: Images, size: int) -> Images:
    """Enlarge square images bilinearly to `size`, or cut them at the centre, as torchvision and train do."""
    if view.shape[1] < size:
        pictures = (Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR) for image in view)
        return np.stack([np.asarray(picture) for picture in pictures])
    start = round((view.shape[1] - size) / 2)
    return view[:, start : start + size, start : start + size]
