"""Settings by dotted key: flattened, put over params.yaml, and checked as the stages read them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from candid.errors import CandidError
from candid.recipes.recipe import Overrides
from candid.sections import SECTIONS, check_params
from candid.settings import is_choice, named

KNOWN = (*SECTIONS, "archs")


def flat(values: Mapping[str, Any], where: str = "", above: str = "") -> Overrides:
    """Dotted key -> value of nested mappings, whose keys may be dotted themselves.

    A list is a value, and so is a choice, in full: `train.schedule: cosine` is {name: cosine}.

    Raises:
        CandidError: a key twice (train.epochs beside train: {epochs: 20}), or one with an empty mapping.
    """
    settings: Overrides = {}
    for key, value in values.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping) and not value and where:
            raise CandidError(f"{where}: {name} = {{}}: expected a value, or keys below it")
        leaves = {name: value}
        if is_choice(name):
            leaves = {name: named(value)}
        elif isinstance(value, Mapping) and value:
            leaves = flat(value, where, f"{name}.")
        if twice := settings.keys() & leaves.keys():
            raise CandidError(f"{where}: {sorted(twice)[0]} a second time; expected it once")
        settings |= leaves
    return settings


def put_over(params: Mapping[str, Any], overrides: Overrides, where: str = "params.yaml") -> dict[str, Any]:
    """Return a copy of params.yaml with the overrides put in; a choice is replaced whole.

    Raises:
        CandidError: a key of no section, or one above or below the settings that there are.
    """
    merged: dict[str, Any] = copy.deepcopy(dict(params))
    for key, value in overrides.items():
        *path, last = key.split(".")
        if not path or path[0] not in KNOWN:
            raise CandidError(f"{where}: unknown key {key}; expected a key of {', '.join(KNOWN)}")
        section = merged
        for number, part in enumerate(path, start=1):
            section = section.setdefault(part, {})
            if is_choice(above := ".".join(path[:number])):
                raise CandidError(f"{where}: {key}: {above} is one value; expected {above} = {{{last}: ...}}")
            if not isinstance(section, dict):
                raise CandidError(f"{where}: unknown key {key}; {part} has no keys below it")
        if isinstance(section.get(last), dict) and not is_choice(key):
            raise CandidError(f"{where}: {key} = {value!r}: expected the keys below it")
        section[last] = value
    return merged


def check_settings(params: Mapping[str, Any], overrides: Overrides, where: str) -> dict[str, Any]:
    """Put overrides over params.yaml and refuse what a stage would refuse; return the whole settings.

    Raises:
        CandidError: where, the key, its value and what is allowed.
    """
    settings = put_over(params, overrides, where)
    check_params(settings, where)
    return settings
