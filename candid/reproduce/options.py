"""The command line."""

from __future__ import annotations

import argparse

from candid.errors import CandidError


def parse(arguments: list[str] | None, description: str) -> argparse.Namespace:
    """Read the arguments."""
    parser = argparse.ArgumentParser(prog="candid reproduce", description=description)
    parser.add_argument("recipe", nargs="?", help="a file of recipes/ without .yaml")
    parser.add_argument("--list", action="store_true", help="recipes, their runs, what they need and cost")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="RUN", help="names, patterns, or parts of names"
    )
    parser.add_argument(
        "--members",
        nargs="+",
        default=[],
        metavar="PATTERN",
        help="of runs of several experiments, such as r0-*",
    )
    protocol = parser.add_mutually_exclusive_group()
    protocol.add_argument(
        "--honest", dest="protocols", action="store_const", const=(True,), help="the honest counterparts"
    )
    protocol.add_argument(
        "--both", dest="protocols", action="store_const", const=(False, True), help="paper's and honest"
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="cut short, under a name that says so")
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="change, likewise"
    )
    parser.add_argument(
        "--scratch", action="store_true", help="leave ImageNet weights out even where they can be had"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="workers (default 1); each has a GPU of its own"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="only say what would be queued, and by which command"
    )
    parser.set_defaults(protocols=(False,))
    options = parser.parse_args(arguments)
    if options.list == (options.recipe is not None):
        raise CandidError("expected a recipe or --list, one of the two")
    for name in ("epochs", "jobs"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            raise CandidError(f"--{name} {getattr(options, name)}: expected 1 or more")
    return options
