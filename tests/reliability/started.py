"""A stage as a process of its own: in a trap, with folders that list in another order, on fewer cores.

python -m tests.reliability.started '{"trap": {"folders": ["/tmp/project"], "at": 7}}' stages.split
python -m tests.reliability.started '{"shuffle": 1}' stages.download
"""

from __future__ import annotations

import json
import os
import random
import runpy
import sys
from collections.abc import Callable, Iterator
from typing import Any

from tests.reliability.trap import Trap, arm


def shuffle_listings(seed: int) -> None:
    """Let folders list what they hold in another order, as another file system would."""
    generator = random.Random(seed)
    listdir: Callable[..., list[Any]] = os.listdir
    scandir: Callable[..., Any] = os.scandir

    def mixed(entries: list[Any]) -> list[Any]:
        generator.shuffle(entries)
        return entries

    class Scandir:
        def __init__(self, *given: Any) -> None:
            with scandir(*given) as entries:
                self.entries = iter(mixed(list(entries)))

        def __iter__(self) -> Iterator[Any]:
            return self.entries

        def __next__(self) -> Any:
            return next(self.entries)

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def close(self) -> None:
            pass

    os.listdir = lambda *given: mixed(listdir(*given))
    os.scandir = Scandir  # type: ignore[assignment]


def main() -> None:
    """Prepare this process as told, then run the module."""
    told, module = json.loads(sys.argv[1]), sys.argv[2]
    if trap := told.get("trap"):
        arm(Trap(**{**trap, "folders": tuple(trap["folders"])}))
    if "shuffle" in told:
        shuffle_listings(told["shuffle"])
    if "cores" in told:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: told["cores"]])
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
