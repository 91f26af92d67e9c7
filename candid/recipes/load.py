"""Reads recipes/<key>.yaml and refuses what is wrong in it: the settings, their origins, the numbers."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from candid.errors import CandidError
from candid.recipes.recipe import Overrides, Protocol, Published, Recipe, RecipeFile, Run, RunEntry, suffix
from candid.sections import SECTIONS, check_params
from candid.settings import PARAMS, check, is_choice, named, read_yaml

FOLDER = "recipes"
KNOWN = (*SECTIONS, "archs")
SUFFIX = re.compile(r"[a-z0-9_]+")  # a value of `over` in an experiment's name, that of a branch


def list_recipes(folder: str | Path = FOLDER) -> list[str]:
    """Name the recipes in a folder, sorted: the files' names without .yaml."""
    keys = sorted(path.stem for path in Path(folder).glob("*.yaml"))
    if not keys:
        raise CandidError(f"{folder}: no recipe; expected files such as bah2022.yaml")
    return keys


def load_recipe(key: str, folder: str | Path = FOLDER, params: str | Path = PARAMS) -> Recipe:
    """Read a recipe and check each of its runs against params.yaml and the classes of its sections.

    Args:
        key: name of the file without .yaml.
        folder: that holds it.
        params: the file that the overrides are put over.

    Raises:
        CandidError: one line with the file, the key or run, what is wrong and what was expected.

    Example:
        >>> load_recipe("li2021").run("ck48").members(leak_free=True)["r0-f3"]["split.fold"]
        3
    """
    path = Path(folder) / f"{key}.yaml"
    if not path.is_file():
        raise CandidError(f"{path}: no such recipe; expected one of {', '.join(list_recipes(folder))}")
    file = check("recipe", RecipeFile, read_yaml(path), path)
    if file.leak_free.protocol is None:
        raise CandidError(f"{path}: recipe.leak_free.protocol is missing")
    shared = flat(file.settings, f"{path}: settings")
    runs = [_run(number, entry, file, shared, path) for number, entry in enumerate(file.runs)]
    recipe = Recipe.model_construct(**{**dict(file), "key": key, "runs": runs})
    base = read_yaml(params)
    for run in runs:
        for overrides in _variants(run):
            check_settings(base, overrides, f"{path}: run {run.name!r}")
    each = [(run, free, member) for run in runs for free in (False, True) for member in run.members(free)]
    names = Counter([run.name for run in runs] + [recipe.experiment(*one) for one in each])
    if twice := [name for name, count in names.items() if count > 1]:
        raise CandidError(f"{path}: two runs or experiments of the name {twice[0]}; expected different names")
    _check_origins(recipe, path)
    return recipe


def _run(number: int, value: Any, file: RecipeFile, shared: Overrides, path: Path) -> Run:
    name = str(value.get("name", number)) if isinstance(value, dict) else str(number)
    entry = check(f"runs.{name}", RunEntry, value, path)
    where = f"{path}: run {name!r}"
    own = shared | flat(entry.settings, where)
    over = _over(entry.over, where)
    kinds = file.leak_free, entry.leak_free
    free = own | flat(kinds[0].settings, where) | flat(kinds[1].settings, where)
    free_over = [over, *(_over(one.over, where) for one in kinds if one.over is not None)][-1]
    if (own.get("model.weights") == "imagenet") != (entry.without_imagenet is not None):
        together = "model.weights = imagenet and without_imagenet go together"
        raise CandidError(f"{where}: {together}; expected both or none")
    matrices = [(table.source, table.confusion) for table in entry.published if table.confusion]
    if len(matrices) > 1:
        raise CandidError(f"{where}: {len(matrices)} confusion matrices; expected one")
    return Run(
        entry.name,
        entry.about,
        Protocol(entry.protocol or file.protocol, own, over),
        Protocol(entry.leak_free.protocol or str(file.leak_free.protocol), free, free_over),
        None if entry.without_imagenet is None else flat(entry.without_imagenet, where),
        _published(entry, own.get("data.classes"), where),
        matrices[0] if matrices else None,
        entry.data_from,
    )


def _over(values: Mapping[str, Any], where: str) -> dict[str, list[Any]]:
    """Read `over`: for each key a list of values, or how many, from 0."""
    over: dict[str, list[Any]] = {}
    for key, value in values.items():
        over[key] = list(range(value)) if type(value) is int else value
        names = [suffix(key, one) for one in over[key]] if isinstance(over[key], list) else []
        if not names or len(set(names)) < len(names) or not all(map(SUFFIX.fullmatch, names)):
            expected = "expected different numbers or words, or how many numbers from 0"
            raise CandidError(f"{where}: over {key} = {value!r}: {expected}")
    return over


def _published(entry: RunEntry, classes: list[str] | None, where: str) -> list[Published]:
    """Take the tables apart; refuse a class that the run leaves out, and a number that is there twice."""
    numbers: dict[str, Published] = {}
    for table in entry.published:
        named = table.confusion.classes if table.confusion else [*(table.per_class or {})]
        if classes and (wrong := [name for name in named if name not in classes]):
            raise CandidError(f"{where}: a score of {wrong[0]!r}, which is not in data.classes = {classes}")
        for one in table.numbers:
            if one.metric in numbers:
                first = numbers[one.metric].source
                raise CandidError(f"{where}: {one.metric} a second time ({one.source}); first in {first}")
            numbers[one.metric] = one
    return list(numbers.values())


def _variants(run: Run) -> Iterator[Overrides]:
    """The overrides to check: each value of each key of `over` in turn, and without ImageNet weights."""
    for leak_free in (False, True):
        first = next(iter(run.members(leak_free).values()))
        yield first
        for key, values in run.protocol(leak_free).over.items():
            yield from ({**first, key: value} for value in values[1:])
        if run.without_imagenet is not None:
            yield {**first, **run.without_imagenet}


def _check_origins(recipe: Recipe, path: Path) -> None:
    """Refuse a setting that is in none or in several of given, interpreted and chosen, and a key set nowhere.

    The settings are those of the recipe and of its runs, with `over`. What the leak-free counterpart changes,
    or a run without ImageNet weights, is always ours.
    """
    known = dict.fromkeys(
        leaf
        for run in recipe.runs
        for key, value in {**run.paper.settings, **run.paper.over}.items()
        for leaf in ([f"{key}.{part}" for part in value] if isinstance(value, dict) else [key])
    )
    kinds = ("given", "interpreted", "chosen")
    origins = [(f"{kind} {key.strip()}", key.strip())
               for kind in kinds for keys in getattr(recipe, kind) for key in keys.split(",")]  # fmt: skip
    covering = {one: [origin for origin, key in origins if f"{one}.".startswith(f"{key}.")] for one in known}
    if unset := [origin for origin, _ in origins if origin not in chain(*covering.values())]:
        raise CandidError(f"{path}: {unset[0]} is set nowhere; expected a key of settings or of a run")
    for setting, names in covering.items():
        if len(names) > 1:
            raise CandidError(f"{path}: {' and '.join(names)} both stand for {setting}; expected one")
        if not names:
            expected = "expected it, or a key above it, in given, interpreted or chosen"
            raise CandidError(f"{path}: {setting} has no origin; {expected}")


def flat(values: Mapping[str, Any], where: str = "", above: str = "") -> Overrides:
    """Dotted key -> value of nested mappings, whose keys may be dotted, too; CandidError for a key twice.

    A list is a value, and so is a choice, in full: `train.schedule: cosine` is {name: cosine}.
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
    """Return a copy of params.yaml with the overrides put in, a choice replaced whole."""
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
    """Put overrides over params.yaml and refuse what a stage would refuse; return the whole settings."""
    settings = put_over(params, overrides, where)
    check_params(settings, where)
    return settings
