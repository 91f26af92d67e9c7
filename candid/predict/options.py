"""The command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

from candid.predict import classifier, detectors


class Options(NamedTuple):
    """What the user asked for."""

    paths: list[Path]
    model: Path
    classes: list[str] | None
    detector: str
    margin: float | None
    already_cropped: bool
    every: float
    limit: int | None
    table: str
    out: Path


def read_options(arguments: list[str] | None = None) -> Options:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="candid predict",
        description="Find the faces in pictures and videos, and label each with the class a model gives it.",
        epilog="A label says which word annotators gave to pictures like this one, not what a person feels: "
        "docs/responsible-use.md.",
    )
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="pictures, videos, folders, zip or tar archives"
    )
    parser.add_argument(
        "--model",
        type=Path,
        default=classifier.DEFAULT,
        help=f"a .keras file of train; default: {classifier.DEFAULT}",
    )
    parser.add_argument(
        "--classes",
        type=lambda text: text.split(","),
        metavar="A,B,...",
        help="stop unless the model has these",
    )
    parser.add_argument(
        "--detector",
        choices=sorted(detectors.DETECTORS),
        default=detectors.DEFAULT,
        help=f"default: {detectors.DEFAULT}",
    )
    parser.add_argument(
        "--margin",
        type=float,
        help="added to the detector's box on each side, as a share of it; default: the detector's own",
    )
    parser.add_argument(
        "--already-cropped", action="store_true", help="each picture is one face: nothing is searched"
    )
    parser.add_argument(
        "--every", type=float, default=1.0, metavar="SECONDS", help="between a video's frames; default: 1"
    )
    parser.add_argument("--limit", type=int, help="stop after this many pictures and frames")
    parser.add_argument("--table", choices=("csv", "jsonl"), default="csv", help="default: csv")
    parser.add_argument("--out", type=Path, default=Path("predictions"), help="folder; default: predictions")
    given = parser.parse_args(arguments)
    if given.limit is not None and given.limit < 1:
        parser.error("--limit: expected 1 or more")
    if given.margin is not None and not -0.4 <= given.margin <= 4:
        parser.error("--margin: expected -0.4 to 4")
    if not 0 <= given.every < float("inf"):
        parser.error("--every: expected 0 (all frames) or more seconds")
    return Options(**vars(given))
