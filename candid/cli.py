"""The command `candid`: `candid COMMAND [options]`, e.g. `candid audit pictures.zip`."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import sys
from functools import partial
from typing import NoReturn

from candid.errors import run

COMMANDS = {
    "audit": "copies, conflicting labels and other issues of any image set",
    "gate": "fail on a regression against a revision, or a CSV file",
    "compare": "published, measured and leak-free accuracy of a paper",
    "reproduce": "run a paper's experiments",
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
FAILURE = {"gate": 2, "audit": 2}
"""Status of a fault, where 1 has another meaning: a regression, or copies across sets."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, with status 2."""

    def error(self, message: str) -> NoReturn:
        """Print one line and exit."""
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; `{self.prog} --help` shows the usage\n")


def parser() -> Parser:
    """The arguments before those of a command."""
    top = Parser(
        prog="candid",
        description="Classifiers of facial expressions, and honest numbers about them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"candid {version()}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, text in COMMANDS.items():
        commands.add_parser(name, help=text, add_help=False)
    return top


def version() -> str:
    """The installed version; `unknown` in a checkout that was not installed."""
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
    if not name:
        top = parser()
        top.parse_args(words[:1])
        top.print_help()
        return 2
    status: int | None = importlib.import_module(f"candid.{name}.command").main(words[1:])
    return status
