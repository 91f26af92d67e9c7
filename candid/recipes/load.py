"""Reads recipes/<key>.yaml and refuses by file and line what is wrong in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from candid.data.catalogue import read_catalogue
from candid.errors import CandidError
from candid.recipes.check import Checker
from candid.recipes.distinct import check_names
from candid.recipes.lines import Lines, Place, Settings
from candid.recipes.origin import check_origins, split_keys
from candid.recipes.parse import parse
from candid.recipes.recipe import Confusion, Paper, Published, Recipe, Reported, Run, suffix_of
from candid.recipes.schema import HonestEntry, PublishedEntry, RecipeFile, RunEntry
from candid.settings import PARAMS, read_yaml

FOLDER = "recipes"
SUFFIX = re.compile(r"[a-z0-9_]+(-[a-z0-9_]+)*")
"""Of a member's name, which has to be that of a branch."""


def list_recipes(folder: str | Path = FOLDER) -> list[str]:
    """Name the recipes in a folder, sorted: the files' names without .yaml."""
    found = sorted(path.stem for path in Path(folder).glob("*.yaml"))
    if not found:
        raise CandidError(f"{folder}: no recipe; expected files such as bah2022.yaml")
    return found


def load_recipe(key: str, folder: str | Path = FOLDER, params: str | Path = PARAMS) -> Recipe:
    """Read a recipe and hold each of its runs against params.yaml and the classes of its sections.

    Args:
        key: name of the file without .yaml.
        folder: that holds it.
        params: the file that the overrides are put over.

    Raises:
        CandidError: one line with the file, the line, what is wrong and what was expected.
    """
    path = Path(folder) / f"{key}.yaml"
    if not path.is_file():
        raise CandidError(f"{path}: no such recipe; expected one of {', '.join(list_recipes(folder))}")
    lines = Lines(path)
    reader = _Reader(lines, Checker(str(path), read_yaml(params), read_catalogue()))
    file = parse(read_yaml(path), lines)
    recipe = reader.recipe(key, file)
    check_names(recipe, lines)
    check_origins(file, lines)
    return recipe


class _Reader:
    """Puts one recipe together."""

    def __init__(self, lines: Lines, checker: Checker) -> None:
        self.lines = lines
        self.checker = checker

    def recipe(self, key: str, file: RecipeFile) -> Recipe:
        settings = Settings.read(file.settings, ("settings",), self.lines)
        honest = Settings.read(file.honest.settings, ("honest", "settings"), self.lines)
        runs: list[Run] = []
        for number, entry in enumerate(file.runs):
            if entry.name in [run.name for run in runs]:
                self._refuse(("runs", number, "name"), f"a second run {entry.name!r}; expected one")
            runs.append(self._run(number, entry, file, settings, honest))
        return Recipe(
            key=key,
            paper=Paper(**file.paper.model_dump()),
            claim=file.claim,
            protocol=file.protocol,
            settings=settings.values,
            given=file.given,
            chosen={key: why for keys, why in file.chosen.items() for key in split_keys(keys)},
            honest=honest.values,
            honest_protocol=file.honest.protocol,
            runs=runs,
            notes=file.notes,
        )

    def _run(self, number: int, entry: RunEntry, file: RecipeFile, base: Settings, honest: Settings) -> Run:
        place: Place = ("runs", number)
        line = self.lines.line(place)
        own = base | Settings.read(entry.settings, (*place, "settings"), self.lines)
        over = self._over(entry.over, (*place, "over"))
        scratch = Settings.read(entry.without_imagenet or {}, (*place, "without_imagenet"), self.lines)
        fair = own | honest | Settings.read(entry.honest.settings, (*place, "honest", "settings"), self.lines)
        fair_over = self._honest_over(number, entry, file.honest, over)
        pairs = [(own, over)] if entry.honest.none else [(own, over), (fair, fair_over)]
        needs = False
        for settings, values in pairs:
            needs |= self._check(settings, values, scratch, line)
        if needs != (entry.without_imagenet is not None):
            told = (
                "model.weights = imagenet: expected without_imagenet, what is run where no hub can be reached"
                if needs
                else "without_imagenet in a run that needs no ImageNet weights"
            )
            self._refuse(place if needs else (*place, "without_imagenet"), f"run {entry.name!r}: {told}")
        published = self._published(number, entry, own)
        return Run(
            name=entry.name,
            about=entry.about,
            protocol=entry.protocol or file.protocol,
            settings=own.values,
            over={key: values for key, (values, _) in over.items()},
            honest=None if entry.honest.none else fair.values,
            honest_protocol=entry.honest.protocol or file.honest.protocol,
            honest_over={key: values for key, (values, _) in fair_over.items()},
            no_honest=entry.honest.none,
            without_imagenet=None if entry.without_imagenet is None else scratch.values,
            published=published,
            confusions=[_confusion(one) for one in entry.published if one.confusion],
            reported=[Reported(**one.model_dump()) for one in entry.reported],
            data_from=entry.data_from,
        )

    def _over(self, given: Mapping[str, Any], place: Place) -> dict[str, tuple[list[Any], int]]:
        """Read `over`: a list of values, or how many, from 0."""
        found: dict[str, tuple[list[Any], int]] = {}
        for key, value in given.items():
            values = list(range(value)) if type(value) is int else value
            if not isinstance(values, list) or not values or any(values.count(one) > 1 for one in values):
                self._refuse(
                    (*place, key), f"{key} = {value!r}: expected different values, or how many from 0"
                )
            for one in values:
                if not SUFFIX.fullmatch(suffix_of(key, one)):
                    told = "it would be part of an experiment's name; expected a number or a word"
                    self._refuse((*place, key), f"{key} = {one!r}: {told}")
            found[key] = values, self.lines.line((*place, key))
        return found

    def _honest_over(
        self, number: int, entry: RunEntry, honest: HonestEntry, over: dict[str, tuple[list[Any], int]]
    ) -> dict[str, tuple[list[Any], int]]:
        if entry.honest.over is not None:
            return self._over(entry.honest.over, ("runs", number, "honest", "over"))
        if honest.over is not None:
            return self._over(honest.over, ("honest", "over"))
        return over

    def _check(
        self, settings: Settings, over: dict[str, tuple[list[Any], int]], scratch: Settings, line: int
    ) -> bool:
        """Check a run with each value of each key in turn; tell whether it takes ImageNet weights."""
        first = Settings(
            {key: values[0] for key, (values, _) in over.items()}, {key: at for key, (_, at) in over.items()}
        )
        self.checker.check(settings | first, line)
        for key, (values, at) in over.items():
            for value in values[1:]:
                self.checker.check(settings | first | Settings({key: value}, {key: at}), line)
        if scratch.values:
            self.checker.check(settings | first | scratch, line)
        return (settings | first).values.get("model.weights") == "imagenet"

    def _published(self, number: int, entry: RunEntry, settings: Settings) -> list[Published]:
        """Take the tables apart; refuse a class that the run leaves out, and a number given twice."""
        classes: list[str] = settings.values.get("data.classes") or []
        found: dict[str, Published] = {}
        for row, table in enumerate(entry.published):
            place: Place = ("runs", number, "published", row)
            for name in _classes(table) if classes else []:
                if name not in classes:
                    self._refuse(place, f"a score of {name!r}, which is not in data.classes = {classes}")
            for one in _numbers(table):
                if one.metric in found:
                    self._refuse(place, f"{one.metric} a second time; first in {found[one.metric].source}")
                found[one.metric] = one
        return list(found.values())

    def _refuse(self, place: Place, told: str) -> None:
        raise CandidError(f"{self.lines.at(place)}: {told}")


def _classes(published: PublishedEntry) -> Iterator[str]:
    yield from published.per_class or {}
    yield from published.confusion.classes if published.confusion else []
    if published.metric and published.metric.startswith("per_class."):
        yield published.metric.split(".")[1]


def _numbers(entry: PublishedEntry) -> Iterator[Published]:
    """Take a table apart; a confusion matrix gives no number of its own."""
    if entry.metric is not None and entry.value is not None:
        yield Published(entry.metric, entry.value, entry.source, entry.sd, entry.repetitions or [])
    for name, row in (entry.per_class or {}).items():
        for score, value in row.scores().items():
            yield Published(f"per_class.{name}.{score}", value, entry.source)
        if row.support is not None:
            yield Published(f"per_class.{name}.support", row.support, entry.source)


def _confusion(entry: PublishedEntry) -> Confusion:
    assert entry.confusion is not None
    rows = entry.confusion.rows
    counts = rows if entry.confusion.of == "actual" else [list(column) for column in zip(*rows, strict=True)]
    return Confusion(entry.confusion.classes, counts, entry.source)
