"""The formats: how each is written, made int8, and run."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from candid.errors import CandidError
from candid.evaluation.predict import Images
from candid.evaluation.scores import Floats
from candid.export import litert, onnx


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what C++ and Python write to stdout and stderr, warnings and log lines to ourselves."""
    with ExitStack() as stack, tempfile.TemporaryFile() as kept, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = logging.root.manager.disable
        stack.callback(logging.disable, before)
        logging.disable(logging.CRITICAL)
        for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
            stream.flush()
            shown = os.dup(number)
            os.dup2(kept.fileno(), number)
            stack.callback(os.close, shown)
            stack.callback(os.dup2, shown, number)
            stack.callback(stream.flush)
        yield


Runner = Callable[[Images], Floats]
"""Takes faces as the model does (N x S x S, x 1 or x 3, uint8), gives probabilities N x K."""

EXTRA = "requirements-export.txt"
FORMATS: dict[str, Any] = {"onnx": onnx, "litert": litert}
"""Each module has the SUFFIX of its files, the PACKAGES it needs beyond requirements.txt, and functions:
write(model, path), write_int8(model, path, faces to calibrate on), annotate(path, names and values for the
file's own metadata) and load(path), which gives a Runner on one thread."""


def need(name: str) -> None:
    """Stop where a package that the format needs is not installed."""
    for package in FORMATS[name].PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise CandidError(f"--to {name}: the package {package} is not here: pip install -r {EXTRA}")


def attempt(what: str, work: Callable[..., Any], *arguments: Any) -> Any:
    """Do a converter's work in silence; CandidError with what it says where it fails."""
    try:
        with quiet():
            return work(*arguments)
    except (CandidError, MemoryError):
        raise
    except Exception as error:  # converters raise whatever they stumble over
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise CandidError(f"{what}: {reason}") from None
