"""The command `candid`: `candid COMMAND [options]`, e.g. `candid audit pictures.zip`."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import sys
from functools import partial
from typing import Any, NoReturn

from candid.errors import run

COMMANDS = {
    "audit": "copies, conflicting labels and other issues of any image set",
    "gate": "fail on a regression against a revision, or a CSV file",
    "compare": "published, measured and leak-free accuracy of a paper",
    "reproduce": "run a paper's experiments",
    "evaluate": "score a model on any labelled set",
    "predict": "find faces in pictures and videos and label them",
    "explain": "where the model looks",
    "export": "ONNX and LiteRT, checked against Keras",
    "report": "one HTML page of a run, its model card, or what CI comments",
    "demo": "a local page with the camera",
}
EXAMPLES = """examples:
  candid audit pictures.zip
  candid gate --baseline main
  candid compare li2021
  candid COMMAND --help"""
FAILURE = {"gate": 2, "audit": 2}  # status of a fault, where 1 is a regression, or copies across sets
PACKAGES = {"evaluate": "evaluation"}  # of a command that isn't in the package of its name


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, with status 2; it keeps the lines of its description."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": argparse.RawDescriptionHelpFormatter, **options})

    def error(self, message: str) -> NoReturn:
        """Print one line and exit."""
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; `{self.prog} --help` shows the usage\n")


def version() -> str:
    """The installed version; `(not installed)` in a checkout that was not installed."""
    try:
        return importlib.metadata.version("candid-fer")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def main(arguments: list[str] | None = None) -> None:
    """Run the command that the first argument names; its status is the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    name = words[0] if words and words[0] in COMMANDS else ""
    run(name, partial(_call, name, words), hint="", failure=FAILURE.get(name, 1))


def _call(name: str, words: list[str]) -> int | None:
    if name:
        command = importlib.import_module(f"candid.{PACKAGES.get(name, name)}.command")
        status: int | None = command.main(words[1:])
        return status
    about = "Classifiers of facial expressions, and honest numbers about them."
    top = Parser(prog="candid", description=about, epilog=EXAMPLES)
    top.add_argument("--version", action="version", version=f"candid {version()}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for each, text in COMMANDS.items():
        commands.add_parser(each, help=text, add_help=False)
    top.parse_args(words[:1])
    top.print_help()
    return 2
