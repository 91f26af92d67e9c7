"""The command `candid`: `candid COMMAND [options]`, e.g. `candid audit pictures.zip`."""

from __future__ import annotations

import importlib
import sys
from functools import partial

from candid.errors import run

COMMANDS = {
    "audit": "near-duplicates and conflicting labels of any image set",
    "gate": "fail on a regression against another revision",
    "compare": "published, measured and leak-free accuracy of a paper",
    "reproduce": "run a paper's experiments",
    "predict": "faces in pictures and videos, labelled",
    "explain": "where the model looks",
    "export": "ONNX and LiteRT, checked against Keras",
    "report": "one HTML page of a run",
    "demo": "a local page with the camera",
}


def main(arguments: list[str] | None = None) -> None:
    """Run the command that the first argument names; its status is the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0] in ("-h", "--help"):
        print("usage: candid COMMAND [options]\n\ncommands:")
        print(*(f"  {name:<10} {what}" for name, what in COMMANDS.items()), sep="\n")
        sys.exit(0 if given else 2)
    name, rest = given[0], given[1:]
    if name not in COMMANDS:
        print(f"candid: no command {name!r}; expected one of {', '.join(COMMANDS)}", file=sys.stderr)
        sys.exit(2)
    command = importlib.import_module(f"candid.{name}.command")
    if name == "gate":  # its statuses 1 and 2 mean something else than those of the others
        sys.exit(command.main(rest))
    run(name, partial(command.main, rest), hint="")
