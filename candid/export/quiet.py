"""Converters write pages of warnings; what matters of them comes back as an error or a number."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


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
