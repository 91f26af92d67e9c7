"""Predictions for the page: one picture's faces, by a chosen model and detector, one request at a time."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from candid.data.archives import UnreadableError
from candid.data.images import open_picture
from candid.errors import CandidError
from candid.html import data_uri
from candid.predict.classifier import load_classifier
from candid.predict.detectors import DEFAULT, DETECTORS, make_detector
from candid.predict.faces import find_faces, label, reduced

SHOWN = 1280  # pixels of the longer side of what goes back to the page


class PredictionService:
    """Keeps models and detectors once they are loaded; neither may be used by two threads at once."""

    def __init__(self, models: Sequence[Path]) -> None:
        self.models = list(models)
        self.detectors = [DEFAULT, *sorted(set(DETECTORS) - {DEFAULT})]
        self.classifier, self._detector = cache(load_classifier), cache(make_detector)
        self._lock = threading.Lock()

    def predict(self, data: bytes, model: Path, detector: str, cropped: bool) -> dict[str, Any]:
        """Find and label the faces of a picture's file, as candid.predict does.

        Returns width, height of the upright picture, in pixels; faces: box (x, y, width, height), score,
        predicted, probabilities; picture: a small copy as a data URI; model, detector, seconds.
        CandidError: no picture, no such model or detector.
        """
        with self._lock:
            started = time.perf_counter()
            classifier = self.classifier(model)
            try:
                image = open_picture(data)
            except UnreadableError as error:
                raise CandidError(f"this file can't be used: {error}") from None
            faces = find_faces(image, None if cropped else self._detector(detector), classifier.card)
            copy = io.BytesIO()
            reduced(image, SHOWN).save(copy, "JPEG", quality=85)
            return {
                "width": image.width,
                "height": image.height,
                "faces": [face.as_dict() for face in label(faces, classifier)],
                "picture": data_uri(copy.getvalue(), "image/jpeg"),
                "model": str(classifier.path),
                "detector": "none" if cropped else detector,
                "seconds": time.perf_counter() - started,
            }
