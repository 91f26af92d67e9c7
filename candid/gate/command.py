"""Compare this working tree with another revision: candid gate --baseline main

Exit status: 0 no regression, 1 regression, 2 the two can't be compared (one line says why).
"""

from __future__ import annotations

import argparse
import sys
import traceback
from pathlib import Path

from candid.errors import CandidError
from candid.gate import tell
from candid.gate.freshness import stale
from candid.gate.revisions import WorkingTree, resolve
from candid.gate.verdict import CANNOT_COMPARE, judge

WRITERS = {"text": tell.as_text, "md": tell.as_markdown, "json": tell.as_json}


def main(arguments: list[str] | None = None) -> int:
    """Print the verdict and return the exit status."""
    parser = argparse.ArgumentParser(prog="candid gate", description=__doc__.splitlines()[0])
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--baseline", metavar="REV", help="branch, tag, commit or DVC experiment")
    wanted.add_argument("--fresh", action="store_true", help="only check that dvc.lock matches this tree")
    style = parser.add_mutually_exclusive_group()
    style.add_argument("--md", dest="style", action="store_const", const="md", help="for a pull request")
    style.add_argument("--json", dest="style", action="store_const", const="json", help="for machines")
    parser.set_defaults(style="text")
    options = parser.parse_args(arguments)
    here = WorkingTree(Path())
    try:
        if options.fresh:
            reasons = stale(here)
            if reasons:
                raise CandidError(f"this tree is stale: {'; '.join(reasons)}; run `dvc repro` and commit")
            return 0
        verdict = judge(resolve(here.root, options.baseline), here)
    except (CandidError, OSError, MemoryError) as error:
        line = " ".join(str(error).split()) or type(error).__name__
        sys.stdout.write(tell.cannot(line, options.style))
        print(f"candid gate: cannot compare: {line}", file=sys.stderr)
        return CANNOT_COMPARE
    except Exception:  # a fault of ours must not read as a regression, whose status is 1
        traceback.print_exc()
        return CANNOT_COMPARE
    sys.stdout.write(WRITERS[options.style](verdict))
    return verdict.status
