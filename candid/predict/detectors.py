"""Where the faces are: Viola-Jones's cascade from OpenCV, and MTCNN; their packages carry all they need.

docs/predict.md has the measurements behind the choice and behind each one's margin.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from candid.backend import use_backend
from candid.errors import CandidError

Pixels = NDArray[np.uint8]
LONGEST = 1280  # pixels of the copy that is searched: a face of 1/50 of the longer side is still found
SAME_FACE = 0.3  # boxes that share more of their union are one face
SAME_PART = 0.6  # or more of the smaller box: that one framed a part of the face


class Box(NamedTuple):
    """A rectangle in pixels; it may reach beyond the picture."""

    left: float
    top: float
    width: float
    height: float

    def scaled(self, factor: float) -> Box:
        """The same rectangle in a picture `factor` times as large."""
        return Box(*(value * factor for value in self))

    def clipped(self, width: int, height: int) -> Box:
        """The part within a picture of this size, in whole pixels, at least one."""
        left, top = min(max(round(self.left), 0), width - 1), min(max(round(self.top), 0), height - 1)
        right, bottom = round(self.left + self.width), round(self.top + self.height)
        return Box(left, top, max(min(right, width) - left, 1), max(min(bottom, height) - top, 1))


class Detection(NamedTuple):
    """A face, where the detector saw it."""

    box: Box
    score: float  # mtcnn: 0 to 1; cascade: sum of the last stage, any number. Higher is surer; not comparable


class Detector(Protocol):
    """Finds faces in an RGB picture (H x W x 3) of LONGEST pixels a side at most; surest first."""

    margin: float  # what turns its boxes into crops like FER2013's: see candid.predict.faces.square

    def __call__(self, picture: Pixels) -> list[Detection]:
        """Boxes in pixels of this picture."""


class Cascade:
    """Viola and Jones 2001, OpenCV's haarcascade_frontalface_alt2: frontal, upright faces."""

    margin = 0.05
    smallest = 24  # pixels: the window that it was trained on

    def __init__(self) -> None:
        import cv2
        import cv2.data

        path = Path(cv2.data.haarcascades, "haarcascade_frontalface_alt2.xml")
        if not path.is_file():
            expected = "expected opencv-python-headless 4 (pip install -r requirements.txt)"
            raise CandidError(f"{path}: OpenCV {cv2.__version__} does not carry it; {expected}")
        self._cv2 = cv2
        self._cascade = cv2.CascadeClassifier(str(path))

    def __call__(self, picture: Pixels) -> list[Detection]:
        """Search all scales, 10 % apart; four overlapping windows make a face."""
        grey = self._cv2.cvtColor(picture, self._cv2.COLOR_RGB2GRAY)
        boxes, _, weights = self._cascade.detectMultiScale3(
            self._cv2.equalizeHist(grey),
            scaleFactor=1.1,
            minNeighbors=4,
            minSize=(self.smallest, self.smallest),
            outputRejectLevels=True,
        )
        return distinct(zip(boxes, weights, strict=True))


class Mtcnn:
    """MTCNN (Zhang et al. 2016): three small nets on TensorFlow, each refining what the last proposed."""

    margin = 0.0
    least_score = 0.92  # no false box on scikit-image's sample images scores as much
    smallest = 20  # pixels; mtcnn 1.0 counts its scales for this size: from a larger one it goes too far down

    def __init__(self) -> None:
        if (backend := os.environ.get("KERAS_BACKEND")) not in (None, "", "tensorflow"):
            needs = f"detector 'mtcnn' needs TensorFlow, but KERAS_BACKEND={backend}"
            raise CandidError(f"{needs}: expected --detector cascade")
        use_backend("tensorflow")
        import mtcnn
        from mtcnn.stages import StageONet, StagePNet, StageRNet

        # By a bare name it would take a file of the present folder instead, and the weights are pickles.
        folder = Path(mtcnn.__file__).resolve().parent / "assets" / "weights"
        stages = {"pnet": StagePNet, "rnet": StageRNet, "onet": StageONet}
        nets = [stage(weights=str(folder / f"{name}.lz4")) for name, stage in stages.items()]
        self._net = mtcnn.MTCNN(nets)

    def __call__(self, picture: Pixels) -> list[Detection]:
        """Search from `smallest` pixels upwards."""
        if min(picture.shape[:2]) < self.smallest:
            return []
        try:
            seen = self._net.detect_faces(
                picture, min_face_size=self.smallest, threshold_onet=self.least_score, fit_to_image=False
            )
        except ValueError as error:  # what Keras 3.13 and later say to a batch of no candidates
            if not re.search(r"empty output.*shape: \(0,", str(error), re.DOTALL):
                raise
            return []
        return distinct((face["box"], face["confidence"]) for face in seen)


def distinct(boxes: Iterable[tuple[Any, Any]]) -> list[Detection]:
    """One of the boxes (with scores) a face, the surest of those that overlap, surest first."""
    detections = [Detection(Box(*map(float, box)), float(score)) for box, score in boxes]
    kept: list[Detection] = []
    for detection in sorted(detections, key=lambda each: (-each.score, each.box)):
        if not any(_same(detection.box, other.box) for other in kept):
            kept.append(detection)
    return kept


def _same(a: Box, b: Box) -> bool:
    width = min(a.left + a.width, b.left + b.width) - max(a.left, b.left)
    height = min(a.top + a.height, b.top + b.height) - max(a.top, b.top)
    if width <= 0 or height <= 0:
        return False
    shared, first, second = width * height, a.width * a.height, b.width * b.height
    return shared > SAME_FACE * (first + second - shared) or shared > SAME_PART * min(first, second)


DETECTORS: dict[str, Callable[[], Detector]] = {"cascade": Cascade, "mtcnn": Mtcnn}
DEFAULT = "mtcnn"


def make_detector(name: str) -> Detector:
    """Make one of DETECTORS; CandidError: unknown, its package is not installed, or carries no cascade."""
    if name not in DETECTORS:
        raise CandidError(f"detector {name!r}; expected one of {', '.join(sorted(DETECTORS))}")
    try:
        return DETECTORS[name]()
    except ModuleNotFoundError as error:
        expected = "expected what requirements.txt names"
        raise CandidError(f"detector {name!r}: {error.name} is not installed; {expected}") from None
