"""Write the report of the present run, and of experiments if named: candid report [EXPERIMENT...]

With --card it writes the model card instead.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from candid.errors import CandidError
from candid.files import write_text
from candid.gate.revisions import WorkingTree, resolve
from candid.report import compared
from candid.report.card import card
from candid.report.page import page
from candid.report.runs import read_run


def main(arguments: list[str] | None = None) -> None:
    """Read, write one file, say which."""
    parser = argparse.ArgumentParser(prog="candid report", description=__doc__.splitlines()[0])
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help="or branch, tag, commit")
    parser.add_argument("--baseline", metavar="REV", help="compared with (default: the results before these)")
    parser.add_argument("--no-faces", action="store_true", help="leave the sheet of mistakes out")
    parser.add_argument("--card", action="store_true", help="write the model card")
    parser.add_argument("--out", type=Path, help="default: report/index.html, or docs/model-card.md")
    options = parser.parse_args(arguments)
    root = Path()
    here = read_run(WorkingTree(root))
    if options.card:
        if options.experiments:
            raise CandidError("--card describes the present run alone; expected no experiment beside it")
        path, text = options.out or Path("docs/model-card.md"), card(here)
    else:
        runs = [here, *(read_run(resolve(root, name)) for name in options.experiments)]
        parts = [*compared.trivial(here), *compared.gate(root, options.baseline or compared.previous(root))]
        parts += compared.others(runs) if len(runs) > 1 else []
        path = options.out or Path("report/index.html")
        text = page(runs, parts, faces=not options.no_faces)
    write_text(path, text)
    print(path)
