"""Settings for DVC's --set-param: in Hydra's grammar, from the command line, checked beforehand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from candid.compare.settings import differences, flat
from candid.data.catalogue import Dataset
from candid.errors import CandidError
from candid.gate.results import MISSING, look_up
from candid.recipes.check import SECTIONS, Checker
from candid.recipes.lines import Settings
from candid.recipes.recipe import Overrides

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
WORDS = ("null", "true", "false", "inf", "nan")
"""What Hydra would not take as text."""


def hydra(key: str, value: Any, params: Mapping[str, Any]) -> str:
    """One override as DVC's --set-param takes it; `++` where params.yaml has no such key yet."""
    known = look_up(params, key) is not MISSING
    return f"{'' if known else '++'}{key}={_written(value)}"


def _written(value: Any) -> str:
    """A value in Hydra's grammar, which is neither YAML's nor JSON's."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        if PLAIN.fullmatch(value) and value.lower() not in WORDS:
            return value
        escaped = re.sub(r"(\\+)('|$)", r"\1\1\2", value).replace("'", r"\'")
        return f"'{escaped}'"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_written, value))}]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_written(inner)}" for key, inner in value.items()) + "}"
    raise CandidError(f"{value!r}: expected text, a number, true, false, null, or a list of these")


def read_set(texts: Sequence[str]) -> Overrides:
    """Take `key=value` arguments apart; a value is YAML 1.2, as in params.yaml.

    Raises:
        CandidError: an argument is no such pair.
    """
    found: Overrides = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_]\w*(\.\w+)+", key):
            raise CandidError(f"--set {text}: expected section.key=value, such as train.batch_size=32")
        try:
            read = YAML(typ="safe", pure=True).load(value)
        except (YAMLError, ValueError) as error:
            raise CandidError(f"--set {text}: not YAML: {' '.join(str(error).split())}") from None
        found |= (
            {f"{key}.{inner}": one for inner, one in flat(read).items()}
            if isinstance(read, Mapping) and read
            else {key: read}
        )
    return found


def check_settings(
    params: Mapping[str, Any], catalogue: Mapping[str, Dataset], overrides: Overrides, where: str
) -> None:
    """Hold what the stages would read against their classes, as recipes are; look for the initial weights.

    Args:
        params: params.yaml.
        catalogue: the datasets.
        overrides: put over params.yaml.
        where: what asked for them, for the message.

    Raises:
        CandidError: the key, its value and what is allowed.
    """
    Checker(where, params, catalogue).check(Settings(overrides))
    weights = {**flat(params), **overrides}["model.weights"]
    if weights not in (None, "imagenet") and not Path(weights).exists():
        raise CandidError(
            f"{where}: model.weights = {weights!r}: no such file or folder; expected null, imagenet, "
            "a .keras file or a folder with a keras-hub preset"
        )


def unsettled(
    params: Mapping[str, Any], committed: Mapping[str, Any], overrides: Iterable[Overrides]
) -> list[str]:
    """Keys of the stages' sections that are not as committed and that some run takes from params.yaml."""
    edited = differences(flat(committed), flat(params))
    read = [key for key in edited if key.split(".")[0] in SECTIONS]
    return [key for key in read if any(key not in settings for settings in overrides)]
