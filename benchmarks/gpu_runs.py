"""Makes the best of a short time on a bare GPU machine: a named list of runs, the most important first.

    python -m benchmarks.gpu_runs --pack                        # here: faces, sets, runs, packages
    python -m benchmarks.gpu_runs --run .candid/gpu/pack --out .candid/gpu/out  # there
    python -m benchmarks.gpu_runs --unpack .candid/gpu/out      # here: metrics, predictions, a table

The list is benchmarks/gpu_runs.yaml. `--pack` has DVC make what ingest to class_weights write, once for
each different set, and packs each different face once; runs of the same settings whose results were
unpacked before are left out. `--run` trains with stages/train and predicts with stages/evaluate, each run in
a process of its own. Results are written after each run, in files under 16 MiB: a cut costs the runs under
way and no other (one, unless --workers says more). The same command goes on, and where --scratch is still
there a run does so at its last minute. There it takes Python, NumPy, SciPy and JAX or PyTorch, neither DVC
nor pandas nor scikit-learn. Both machines need this checkout; between them travel the two folders.
docs/gpu.md has the sizes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from stages.errors import CandidError, run

HOME = Path(".candid/gpu")


def main() -> int:
    """Do what was asked for; status 1 where runs are left."""
    options = parse()
    if options.run:
        return carry_out(options)
    # What only this side needs: pandas and more.
    from benchmarks.gpu.runs import read_runs
    from benchmarks.gpu.sets import prepare

    if options.unpack:
        from benchmarks.gpu.unpack import table, unpack

        print(table(unpack(options.unpack, lambda one: prepare(one, HOME / "sets"), options.results)))
        return 0
    from benchmarks.gpu.pack import MIB, check_size, left, pack, read_earlier
    from benchmarks.gpu.packages import ARCHIVE, PACKAGES, USUAL, fetch

    listed = read_runs(options.list)
    earlier = read_earlier(listed, options.results)
    chosen = left(listed, options.only, earlier.results)
    if not chosen:
        raise CandidError(f"{options.list}: no run left; those in {options.results} are done")
    sizes = pack(chosen, lambda one: prepare(one, HOME / "sets"), options.out, options.beside, earlier)
    if not options.beside:
        lacking = [name for name in PACKAGES if name not in USUAL or not options.lean]
        fetch(options.out / ARCHIVE, lacking, options.python)
        sizes[ARCHIVE] = (options.out / ARCHIVE).stat().st_size
    print("\n".join(one.name for one in chosen))
    print("\n".join(f"{size / MIB:8.2f} MiB  {name}" for name, size in sizes.items()))
    print(f"{sum(sizes.values()) / MIB:8.2f} MiB  {options.out}", flush=True)
    check_size(sizes, options.limit)
    return 0


def carry_out(options: argparse.Namespace) -> int:
    """Run a pack."""
    from benchmarks.gpu.bare import Bare

    bare = Bare(options.run, options.out, options.scratch, options.workers, options.seconds, options.beside)
    missed = bare.run()
    print(f"{len(bare.done)} of {len(bare.runs)} runs are in {options.out}", flush=True)
    return 1 if missed else 0


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--pack", action="store_true", help="write a pack into --out (.candid/gpu/pack)")
    what.add_argument("--run", type=Path, metavar="PACK", help="carry the runs of a pack out")
    what.add_argument("--unpack", type=Path, metavar="OUT", help="read what --run wrote, of all trips")
    parser.add_argument("--out", type=Path, default=HOME / "pack", help="folder that is written to")
    parser.add_argument(
        "--scratch",
        type=Path,
        default=HOME / "scratch",
        help="where --run lays faces, packages, compiled steps and checkpoints for the next call",
    )
    parser.add_argument("--list", type=Path, default=Path(__file__).parent / "gpu_runs.yaml")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="runs whose names begin with one of these")
    parser.add_argument(
        "--beside",
        type=Path,
        metavar="PACK",
        help="an earlier pack: its faces and packages don't travel again",
    )
    parser.add_argument("--results", type=Path, default=HOME / "results", help="where --unpack writes")
    parser.add_argument(
        "--lean", action="store_true", help="leave out packages that a JAX and PyTorch machine usually has"
    )
    parser.add_argument(
        "--limit", type=float, default=56, help="MiB of a pack: 64 less a checkout and some room"
    )
    parser.add_argument("--python", default="3.12", help="of the bare machine")
    parser.add_argument("--seconds", type=float, default=540, help="after which --run ends")
    parser.add_argument("--workers", type=int, default=1, help="runs at a time")
    options = parser.parse_args()
    if options.run and options.out == HOME / "pack":
        parser.error("--run needs --out, a folder for the results")
    if options.pack and options.beside and options.beside.resolve() == options.out.resolve():
        parser.error("--beside: expected another folder than --out")
    return options


if __name__ == "__main__":
    run("gpu_runs", main, hint="")
