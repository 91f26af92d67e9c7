"""The command line of the explanation."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

from candid.errors import CandidError
from candid.predict.classifier import DEFAULT


class Options(NamedTuple):
    """What the user asked for."""

    model: Path
    faces: list[Path]
    test: bool
    data: Path
    out: Path
    shown: int
    seed: int


def read_options(arguments: list[str] | None = None) -> Options:
    """Parse the command line; an impossible value is a CandidError."""
    parser = argparse.ArgumentParser(
        prog="candid explain",
        description="Show where a model looks, and what its first layers make of a face.",
        epilog="The sheets show faces: treat them with the same care as the faces themselves.",
    )
    parser.add_argument("--model", type=Path, default=DEFAULT, help=f"default: {DEFAULT}")
    parser.add_argument(
        "--faces",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="pictures of cut-out faces, or folders",
    )
    parser.add_argument("--test", action="store_true", help="faces of the test part (the default)")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("data"),
        help="folder data of a run; where there is none, the sample",
    )
    parser.add_argument("--out", type=Path, default=Path("explained"), help="folder; default: explained")
    parser.add_argument(
        "--shown", type=int, default=3, help="right answers of a class, and wrong ones; default: 3"
    )
    parser.add_argument("--seed", type=int, default=0, help="which faces of the test part; default: 0")
    options = Options(**vars(parser.parse_args(arguments)))
    if options.faces and options.test:
        raise CandidError("--faces and --test: expected one of them")
    if not 1 <= options.shown <= 12:
        raise CandidError(f"--shown {options.shown}: expected 1 to 12")
    if options.seed < 0:
        raise CandidError(f"--seed {options.seed}: expected 0 or more")
    return options
