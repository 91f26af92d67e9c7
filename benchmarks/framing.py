"""Fit each detector's margin to FER2013's framing: python benchmarks/framing.py FER2013.zip [--faces 1000]

Faces of PublicTest (validation), 48 pixels a side, are enlarged four times and pasted into a plain canvas of
480 pixels, found there, cut by candid.predict and compared with themselves. Printed are where a detector's
box lies within the face as FER2013 cut it, and, for each margin, how far the model's probabilities move (half
the sum of absolute differences: 0 is equal, 1 is a sure change of mind). Each detector's `margin` is the one
by which they move least.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from candid.data.archives import open_files
from candid.data.images import decode
from candid.evaluation.scores import Floats
from candid.predict.classifier import Classifier, default_model, load_classifier
from candid.predict.detectors import DETECTORS, Box, make_detector
from candid.predict.faces import as_trained, cut, square

SIDE, TIMES, CANVAS = 48, 4, 480
STEP = 0.05  # between margins
START = (CANVAS - SIDE * TIMES) // 2
ALIASES = {"surprised": "surprise", "fearful": "fear", "disgusted": "disgust"}


def read_faces(path: Path, wanted: int) -> tuple[NDArray[np.uint8], list[str]]:
    """Every n-th face of PublicTest, N x 48 x 48, and its folder's name, the label."""
    with open_files(path, Path("nowhere")) as source:
        names = [name for name in source.names if "PublicTest" in name]
        chosen = names[:: max(1, len(names) // wanted)][:wanted]
        read = dict(source.read_all(chosen))
        faces = [
            decode(data, SIDE, "grey") for data in map(read.__getitem__, chosen) if isinstance(data, bytes)
        ]
    labels = [name.lower().split("/")[-2] for name in chosen]
    return np.stack(faces), [ALIASES.get(label, label) for label in labels]


def canvas(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The face, enlarged, in the middle of a canvas of its border's mean grey."""
    large = cv2.resize(face, None, fx=TIMES, fy=TIMES, interpolation=cv2.INTER_CUBIC)
    border = np.concatenate([face[0], face[-1], face[:, 0], face[:, -1]])
    picture = np.full((CANVAS, CANVAS), round(float(border.mean())), np.uint8)
    picture[START : START + SIDE * TIMES, START : START + SIDE * TIMES] = large
    return picture


def recut(pictures: list[NDArray[np.uint8]], boxes: list[Box], margin: float) -> NDArray[np.uint8]:
    """Each picture's face as candid.predict would cut it."""
    crops = [
        cut(Image.fromarray(picture), square(box, margin))
        for picture, box in zip(pictures, boxes, strict=True)
    ]
    return np.stack([as_trained(crop, SIDE, "grey") for crop in crops])


def distance(after: Floats, before: Floats) -> float:
    """Half the sum of absolute differences between probabilities, mean over N faces."""
    return float(np.abs(after - before).sum(1).mean() / 2)


def report(name: str, faces: NDArray[np.uint8], labels: list[str], classifier: Classifier) -> None:
    """Print where one detector's boxes lie, a line a margin, and the margin by which least changes."""
    detector = make_detector(name)
    pictures, boxes, kept = [], [], []
    for number, face in enumerate(faces):
        picture = canvas(face)
        found = detector(np.stack([picture] * 3, -1))
        if found:
            pictures.append(picture)
            boxes.append(found[0].box)
            kept.append(number)
    longer = np.array([max(box.width, box.height) for box in boxes])
    down = (CANVAS / 2 - np.array([box.top + box.height / 2 for box in boxes])) / longer
    right = (CANVAS / 2 - np.array([box.left + box.width / 2 for box in boxes])) / longer
    margin = (SIDE * TIMES / longer - 1) / 2
    print(f"\n{name}: found {len(boxes)} of {len(faces)}")
    for word, values in (("margin", margin), ("down", down), ("right", right)):
        quartiles = np.percentile(values, [25, 50, 75])
        print(f"  {word}: median {quartiles[1]:.3f}, quartiles {quartiles[0]:.3f} to {quartiles[2]:.3f}")
    own = faces[kept]
    before = classifier.probabilities(own)
    truth = np.array([labels[number] for number in kept])
    classes = np.array(classifier.card.classes)
    right_before = classes[before.argmax(1)] == truth
    print(f"  as published: accuracy {right_before.mean():.3f}")
    print("  | margin | mean distance | same label | accuracy |\n  |---|---|---|---|")
    middle = round(float(np.median(margin)) / STEP)
    moved = {}
    for share in [round(STEP * (middle + step), 2) for step in range(-4, 5)]:
        after = classifier.probabilities(recut(pictures, boxes, share))
        moved[share] = distance(after, before)
        same = (after.argmax(1) == before.argmax(1)).mean()
        accuracy = (classes[after.argmax(1)] == truth).mean()
        print(f"  | {share:.2f} | {moved[share]:.3f} | {same:.3f} | {accuracy:.3f} |")
    print(f"  probabilities move least by a margin of {min(moved, key=lambda share: moved[share]):.2f}")


def main() -> None:
    """Read, then one report a detector."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("zip", type=Path)
    parser.add_argument("--faces", type=int, default=1000)
    parser.add_argument("--model", type=Path, default=default_model())
    options = parser.parse_args()
    faces, labels = read_faces(options.zip, options.faces)
    classifier = load_classifier(options.model)
    true = [Box(START, START, SIDE * TIMES, SIDE * TIMES)] * len(faces)
    exact = classifier.probabilities(recut([canvas(face) for face in faces], true, 0))
    floor = distance(exact, classifier.probabilities(faces))
    print(f"{len(faces)} faces; enlarged and cut at the true place: mean distance {floor:.3f}")
    for name in DETECTORS:
        report(name, faces, labels, classifier)


if __name__ == "__main__":
    main()
