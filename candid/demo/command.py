"""A local page to try a model with: candid demo [--port 8765] [--model FILE...]

Listens on 127.0.0.1 only; Ctrl-C stops it. No picture is stored, and nothing is fetched.
"""

from __future__ import annotations

import errno
from pathlib import Path

from candid.cli import Parser
from candid.demo.server import ADDRESS, PredictionService, Server
from candid.errors import CandidError
from candid.predict.classifier import default_model

TRAINED = Path("models/model.keras")


def main(arguments: list[str] | None = None) -> None:
    """Load the first model, listen, answer until Ctrl-C."""
    parser = Parser(prog="candid demo", description=__doc__)
    parser.add_argument("--port", type=int, default=8765, help="0 for any that is free; default: 8765")
    default = f"to choose from; default: the one that ships and {TRAINED}"
    parser.add_argument("--model", type=Path, nargs="+", help=default)
    options = parser.parse_args(arguments)
    models = options.model or [*filter(Path.exists, [default_model(), TRAINED])]
    if not models:
        raise CandidError(f"no model: expected --model FILE or {TRAINED} (`dvc repro` trains one)")
    service = PredictionService(models)
    try:
        server = Server(options.port, service)
    except (OSError, OverflowError) as error:
        busy = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        reason = "is in use" if busy else f"can't be used: {error}"
        raise CandidError(f"port {options.port} on {ADDRESS} {reason}; expected a free one: --port") from None
    with server:
        print(f"model: {service.classifier(models[0]).describe()}")
        print(f"open {server.url} in a browser of this machine; Ctrl-C stops it", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
