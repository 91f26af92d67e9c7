"""The command line of the export."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

from candid.errors import CandidError
from candid.predict.classifier import DEFAULT

FORMATS = ("onnx", "litert")


class Options(NamedTuple):
    """What the user asked for."""

    model: Path
    to: list[str]
    int8: bool
    out: Path
    data: Path
    calibrate: int
    report: Path | None


def read_options(arguments: list[str] | None = None) -> Options:
    """Parse the command line; an impossible value is a CandidError."""
    parser = argparse.ArgumentParser(
        prog="candid export",
        description="Export a model through Keras, run the export, and compare it with Keras on test faces.",
    )
    parser.add_argument("--model", type=Path, default=DEFAULT, help=f"default: {DEFAULT}")
    parser.add_argument("--to", nargs="+", required=True, metavar="FORMAT", help=", ".join(FORMATS))
    parser.add_argument("--int8", action="store_true", help="also with integers of 8 bits inside")
    parser.add_argument("--out", type=Path, default=Path("exported"), help="folder; default: exported")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("data"),
        help="folder data of a run; where there is none, the sample",
    )
    parser.add_argument("--calibrate", type=int, default=512, help="training faces for int8; default: 512")
    parser.add_argument("--report", type=Path, help="write the table to this Markdown file, too")
    options = Options(**vars(parser.parse_args(arguments)))
    for name in options.to:
        if name not in FORMATS:
            raise CandidError(f"--to {name}: unknown format; expected {' or '.join(FORMATS)}")
    if options.calibrate < 1:
        raise CandidError(f"--calibrate {options.calibrate}: expected at least 1 face")
    return options._replace(to=list(dict.fromkeys(options.to)))
