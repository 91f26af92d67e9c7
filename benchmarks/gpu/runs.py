"""The list of runs (gpu_runs.yaml), made into complete settings."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from stages.errors import CandidError
from stages.evaluate.params import EvaluateSettings
from stages.settings import PARAMS, Section, check, read_yaml
from stages.train.params import ModelSettings, TrainSettings

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / "benchmarks/gpu_runs.yaml"
DATA_SECTIONS = ("data", "dedup", "split", "class_weights")
Params = dict[str, Any]


class Entry(Section):
    """One entry: a run, or several."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """Of the run; what it is taken over adds to it."""
    recipe: str | None = None
    """recipe/run whose settings come first, as recipes/ has them."""
    honest: bool = False
    """The recipe's honest counterpart."""
    settings: dict[str, Any] = {}
    """Dotted keys of params.yaml on top."""
    over: dict[str, list[Any]] = {}
    """Keys that take several values each: a run for each combination."""
    views: list[Literal["none", "flip", "ten_crop"]] = []
    """Further test-time views to predict with, beside evaluate.tta."""
    pretrained: str | None = None
    """Name of an earlier run of the list whose model this one starts from."""
    chosen: str | None = None
    """Name of an earlier entry: model.arch is that of its run with the best accuracy on validation faces."""
    keep: bool = False
    """Bring the model back; that of a run from which another starts always comes back."""
    test: bool = True
    """Predict the test part; false where runs are compared, so that it is read once."""
    benchmark: list[str] | None = None
    """Measure speed instead: train or train_profile of benchmarks/, and its arguments."""

    @field_validator("benchmark")
    @classmethod
    def _known(cls, value: list[str] | None) -> list[str] | None:
        if value is not None and value[:1] not in (["train"], ["train_profile"]):
            raise ValueError("expected train or train_profile, then arguments")
        return value


class RunList(Section):
    """The file."""

    common: dict[str, Any]
    """Dotted keys for all runs, on top of all else: what belongs to the machine."""
    runs: list[Entry]
    """The most important first."""


@dataclass(frozen=True)
class Run:
    """One run with everything it needs to know."""

    name: str
    params: Params
    """All sections of params.yaml."""
    views: list[str]
    pretrained: str | None = None
    keep: bool = False
    benchmark: list[str] | None = None
    test: bool = True
    chosen: tuple[str, ...] = ()
    """Names of the runs of which the best one gives model.arch; until then it is that of params.yaml."""
    after: tuple[str, ...] = ()
    """Digests of the runs that it starts from or is chosen among."""

    @property
    def needed(self) -> tuple[str, ...]:
        """Names of the runs without which this one can't be trained."""
        return (*self.chosen, *([self.pretrained] if self.pretrained else []))

    @property
    def digest(self) -> str:
        """Of all that determines the run, but for the code and the pixels of its faces."""
        sections = [self.params[name] for name in (*DATA_SECTIONS, "model", "train")]
        net = self.params["archs"].get(self.params["model"]["arch"])
        asked = [self.views, self.test, self.keep, self.benchmark, self.after]
        text = json.dumps([sections, net, asked], sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @property
    def data(self) -> str:
        """Name of the set: the same for runs that see the same faces, split and weights."""
        text = json.dumps([self.params[name] for name in DATA_SECTIONS], sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def read_runs(path: Path = LIST, params: Path = PARAMS) -> list[Run]:
    """Read the list and complete each run; CandidError names the run that is wrong."""
    value = read_yaml(path)
    given = check("runs", RunList, value, path)
    base = read_yaml(params)
    started_from = {entry.pretrained for entry in given.runs}
    found: dict[str, Run] = {}
    members: dict[str, tuple[str, ...]] = {}
    for entry in given.runs:
        where = f"{path}: {entry.name}"
        if entry.chosen is not None and entry.chosen not in members:
            raise CandidError(f"{where}: chosen = {entry.chosen!r}: expected an earlier entry")
        if entry.pretrained is not None and entry.pretrained not in found:
            raise CandidError(f"{where}: pretrained = {entry.pretrained!r}: expected an earlier run")
        chosen = members[entry.chosen] if entry.chosen else ()
        names = []
        for name, overrides in _members(entry):
            if name in found:
                raise CandidError(f"{path}: a second run {name!r}; expected one")
            run = _complete(entry, name, base, {**overrides, **given.common}, path)
            run = replace(run, keep=entry.keep or name in started_from, chosen=chosen)
            found[name] = replace(run, after=tuple(found[other].digest for other in run.needed))
            names.append(name)
        members[entry.name] = tuple(names)
    return list(found.values())


def _members(entry: Entry) -> Iterable[tuple[str, dict[str, Any]]]:
    """Name and overrides of each run of an entry."""
    for suffix, settings in _of_recipe(entry):
        for values in product(*entry.over.values()):
            parts = [entry.name, suffix, *map(_word, entry.over, values)]
            over = dict(zip(entry.over, values, strict=True))
            yield "-".join(part for part in parts if part), {**settings, **entry.settings, **over}


def _of_recipe(entry: Entry) -> list[tuple[str, dict[str, Any]]]:
    if entry.recipe is None:
        return [("", {})]
    from tools.recipes import load_recipe

    recipe, _, name = entry.recipe.partition("/")
    try:
        run = load_recipe(recipe, ROOT / "recipes", ROOT / PARAMS).run(name)
    except KeyError:
        raise CandidError(
            f"{entry.name}: recipe = {entry.recipe!r}: no such run in recipes/{recipe}.yaml"
        ) from None
    found = run.members(entry.honest, imagenet=False)
    if not found:
        raise CandidError(f"{entry.name}: recipe = {entry.recipe!r} has no honest counterpart")
    return found


def _word(key: str, value: Any) -> str:
    """What a value adds to a name: fold3, seed1 (of training), split_seed1; of a net its name alone."""
    section, _, word = key.rpartition(".")
    if word == "seed" and section != "train":
        word = f"{section}_seed"
    return f"{'' if key == 'model.arch' else word}{value}"


def _complete(entry: Entry, name: str, base: Params, overrides: Mapping[str, Any], path: Path) -> Run:
    params = copy.deepcopy(base)
    for key, value in overrides.items():
        _put(params, key, value, f"{path}: {name}")
    where = f"{path} ({name})"
    check("train", TrainSettings, params["train"], where)
    check("model", ModelSettings, params["model"], where)
    tta = check("evaluate", EvaluateSettings, params["evaluate"], where).tta
    views: list[str] = list(dict.fromkeys([tta, *entry.views]))
    return Run(name, params, views, entry.pretrained, benchmark=entry.benchmark, test=entry.test)


def _put(params: Params, key: str, value: Any, where: str) -> None:
    """Set a dotted key; a section given as a whole is taken apart, so that its other keys stay."""
    if isinstance(value, dict) and value:
        for inner, one in value.items():
            _put(params, f"{key}.{inner}", one, where)
        return
    *sections, last = key.split(".")
    place = params
    for section in sections:
        if not isinstance(place.get(section), dict):
            raise CandidError(f"{where}: {key}: params.yaml has no such key")
        place = place[section]
    if last not in place:
        raise CandidError(f"{where}: {key}: params.yaml has no such key")
    place[last] = value
