"""Class probabilities of faces from a trained model; Keras comes as an argument."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from candid.errors import CandidError, cannot_write
from candid.evaluation.model_file import Card
from candid.evaluation.scores import Floats
from candid.evaluation.views import Images, views

PIXELS_AT_ONCE = 512 * 48 * 48  # bounds the memory of activations whatever the size of the faces


def load_model(keras: Any, path: str | Path, card: Card) -> Any:
    """Load a model in Keras's safe mode, without its optimiser.

    Raises:
        CandidError: Keras can't rebuild it, or it does not take faces or give one score a class.
        OSError, MemoryError: there is no room for the weights, which Keras unpacks into the working folder.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "error", UserWarning
            )  # Keras only warns where weights stay as they were drawn
            model = keras.models.load_model(path, compile=False, safe_mode=True)
    except MemoryError:
        raise
    except Exception as error:  # Keras raises whatever the layer at fault does
        if isinstance(error, OSError) and cannot_write(error):
            raise
        reason = " ".join(str(error).split())[:200]
        raise CandidError(f"{path}: Keras can't load it: {reason}; expected a model made by train") from None
    given, taken = getattr(model, "output_shape", None), getattr(model, "input_shape", None)
    if given != (None, len(card.classes)):
        raise CandidError(f"{path}: gives {given}; expected (None, {len(card.classes)}), one output a class")
    if (
        not isinstance(taken, tuple)
        or len(taken) not in (3, 4)
        or taken[1] != taken[2]
        or taken[3:] not in ((), (1,), (3,))
    ):
        raise CandidError(f"{path}: takes {taken}; expected faces: (None, size, size), x 1 or x 3")
    return model


def check_input(model: Any, card: Card, faces: Images, tta: str, path: str | Path) -> None:
    """Stop unless the model takes these faces (N x H x W, or x 3), or crops of them.

    A smaller net is right where it was trained on crops of such faces (then it sees their centre), or
    where `tta` makes crops for it.
    """
    height, width = faces.shape[1:3]
    color = "rgb" if faces.ndim == 4 else "grey"
    if card.color != color or (model.input_shape[3:] == (3,)) != (color == "rgb"):
        raise CandidError(
            f"{path}: a model of {card.color} faces {model.input_shape}; data/faces.npy is {color}"
        )
    size = model.input_shape[1]
    takes_crops = size < height and (tta == "ten_crop" or card.image_size == height)
    if height != width or not (size == height or takes_crops):
        raise CandidError(
            f"{path}: takes {size} x {size} px; data/faces.npy holds {height} x {width} px: "
            "expected the data.image_size that it was trained with"
        )


def predict(model: Any, images: Images, ids: NDArray[np.int64], tta: str) -> Floats:
    """Probabilities of the faces `ids` of `images`, averaged over their views: N x K, float64.

    Raises:
        CandidError: what the model gives is not a probability distribution.
    """
    size, channels = model.input_shape[1], model.input_shape[3:]
    step = max(1, min(512, PIXELS_AT_ONCE // size**2))
    averaged: list[Floats] = []
    for start in tqdm(range(0, len(ids), step), desc="predict", unit="batch", disable=None):
        chosen = ids[start : start + step]
        faces = np.asarray(images[chosen])
        seen: list[Floats] = []
        for view in views(faces, tta, size):
            batch = view.reshape(len(view), size, size, *channels)
            seen.append(_run(model, batch))
            check_probabilities(seen[-1], chosen)
        averaged.append(np.mean(seen, axis=0))
    return np.concatenate(averaged)


def _run(model: Any, batch: Images) -> Floats:
    try:
        return np.asarray(model.predict_on_batch(batch), np.float64)
    except Exception as error:  # each backend has its own, out of memory included
        reason = " ".join(str(error).split())[:200]
        raise CandidError(f"the model fails on a batch of {len(batch)} faces: {reason}") from None


def check_probabilities(given: Floats, ids: NDArray[np.int64]) -> None:
    """Stop at a row that is not finite, not within 0 to 1, or does not add up to 1 (to a hundredth)."""
    with np.errstate(invalid="ignore"):
        fine = (given >= 0).all(axis=1) & (given <= 1).all(axis=1) & (np.abs(given.sum(axis=1) - 1) < 0.01)
    if not fine.all():
        row = int((~fine).argmax())
        raise CandidError(
            f"the model gives {np.array2string(given[row], precision=3, threshold=4)} for face {ids[row]}; "
            "expected probabilities that add up to 1"
        )
