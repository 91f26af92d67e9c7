"""What dvc.yaml says of a stage against what dvc.lock says that it ran with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from candid.gate.look_up import look_up

REFERENCE = re.compile(r"\$\{([^}]+)\}")


def redefined(stage: dict[str, Any], entry: dict[str, Any], params: Any) -> Iterator[str]:
    """Tell where command, dependencies, keys of settings and outputs differ, one phrase each.

    What can't be filled in here (a setting of DVC's own, a whole file of settings) is passed over.

    Args:
        stage: in dvc.yaml.
        entry: of the same stage in dvc.lock.
        params: content of params.yaml, for what stands in ${...}.
    """
    command = _filled(stage.get("cmd"), params)
    if command is not None and command != entry.get("cmd"):
        yield f"dvc.yaml runs `{command}`, dvc.lock has `{entry.get('cmd')}`"
    for asked, used, kind in (
        (_paths(stage, ("deps",)), [dep["path"] for dep in entry.get("deps", [])], "dependency"),
        (_keys(stage), [key for keys in entry.get("params", {}).values() for key in keys], "setting"),
        (
            _paths(stage, ("outs", "metrics", "plots")),
            [out["path"] for out in entry.get("outs", [])],
            "output",
        ),
    ):
        wanted = [None if name is None else _filled(name, params) for name in asked]
        yield from (f"{name} is a new {kind}" for name in wanted if name is not None and name not in used)
        if None not in wanted:
            yield from (f"{name} is no {kind} any more" for name in used if name not in wanted)


def _paths(stage: dict[str, Any], sections: tuple[str, ...]) -> list[str | None]:
    """Paths, with or without options."""
    entries = [one for section in sections for one in stage.get(section) or []]
    return [next(iter(one)) if isinstance(one, dict) else one for one in entries]


def _keys(stage: dict[str, Any]) -> list[str | None]:
    """Dotted keys of settings; None for all that a file holds."""
    found: list[str | None] = []
    for one in stage.get("params") or []:
        if isinstance(one, dict):
            found += [key for keys in one.values() for key in (keys or [None])]
        else:
            found.append(one)
    return found


def _filled(text: Any, params: Any) -> str | None:
    """Put settings into DVC's ${...}; None where that can't be done here."""
    if not isinstance(text, str):
        return None
    filled: str = text
    for reference in REFERENCE.findall(text):
        value = look_up(params, reference)
        if not isinstance(value, str | int | float):
            return None
        filled = filled.replace("${" + str(reference) + "}", str(value))
    return filled
