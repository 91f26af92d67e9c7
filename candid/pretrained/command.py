"""Pack a run's model as the one that ships with Candid: candid pretrained RUN/models/model.keras

Writes the model (at most 5 MB), and its scores and its card beside it, measured from the packed file on the
test part of the run.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from candid.errors import CandidError, run
from candid.pretrained.make import make


def main(arguments: list[str] | None = None) -> None:
    """Pack, measure, say what came of it."""
    parser = argparse.ArgumentParser(prog="candid pretrained", description=__doc__)
    parser.add_argument(
        "model", type=Path, metavar="MODEL", help="models/model.keras of a run that has ended"
    )
    parser.add_argument("--run", type=Path, help="the run's folder; default: the one that holds models/")
    parser.add_argument("--out", type=Path, default=Path("models/pretrained/fer2013.keras"))
    parser.add_argument("--commit", help="to tell in place of the run's, where the pipeline is the same")
    options = parser.parse_args(arguments)
    if options.out.suffix != ".keras":
        raise CandidError(f"--out {options.out}: expected a name that ends with .keras")
    folder = options.run or options.model.resolve().parent.parent
    about = make(options.model, folder, options.out, options.commit)
    print(f"{options.out}: {about['bytes']:,} bytes, md5 {about['md5']}")
    for tta, scores in about["metrics"].items():
        bounds = f"{scores['accuracy_low']:.4f} to {scores['accuracy_high']:.4f}"
        print(f"tta {tta}: accuracy {scores['accuracy']:.4f} ({bounds}) on {scores['faces']:,} test faces")
    print(*(options.out.with_suffix(suffix) for suffix in (".json", ".md")), sep="\n")


if __name__ == "__main__":
    run("pretrained", main, hint="")
