"""Every published number against the papers' tables (tests/recipes/tables), in both directions."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from candid.recipes.recipe import Recipe, is_share
from tests.conftest import REPOSITORY
from tests.recipes.test_recipes import KEYS, RECIPES

TABLES = Path(__file__).with_name("tables")
SCORES = ("precision", "recall", "f1", "support")
LABELS = {"anger": "angry", "sadness": "sad"}
NOT_IN_THE_RECIPE = {
    "(faces)": "the sum of the supports; test_recipes.py",
    "(minutes)": "note minutes of bah2022",
    "(best_epoch)": "note best_epoch of adebo2023: Table I is compared",
    **dict.fromkeys(
        ("(parameters)", "(trainable)", "(fixed)"), "docs/nets.md, which its tests hold to the nets"
    ),
}
"""Columns of the tables, and where their numbers are instead."""


class Number(NamedTuple):
    """A number as printed."""

    key: str
    """Where a reader finds it in the paper: `Table 2, Angry, recall`."""
    table: str
    column: str
    run: str
    metric: str
    """Of the recipe; of a repetition `accuracy#3`, of a deviation `accuracy#sd`."""
    printed: str


def read_tables(key: str) -> list[Number]:
    """The numbers of a paper's tables; a row of a confusion matrix is one."""
    numbers = []
    table, run, columns = "", "", [""]
    for line in (TABLES / f"{key}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            row, *values = line.split()
            label = LABELS.get(row.lower(), row.lower())
            if columns == ["confusion"]:
                values = [" ".join(values)]
            for column, value in zip(columns, values, strict=True):
                metric = f"per_class.{label}.{column}" if column in SCORES else column
                metric += f".{label}" if column == "confusion" else ""
                metric += f"#{row}" if row.isdigit() else "#sd" if row == "deviation" else ""
                where = f"{table}, {row}, {column}"
                numbers.append(Number(where, table, column, row if run == "*" else run, metric, value))
        elif " | " in line and not line.startswith("#"):
            table, run, names = line.split(" | ")
            columns = names.split()
    return numbers


def recipe_numbers(recipe: Recipe) -> dict[tuple[str, str], tuple[float | list[int], str]]:
    """Run and metric, in the form of Number.metric, -> value and source."""
    numbers: dict[tuple[str, str], tuple[float | list[int], str]] = {}
    for run in recipe.runs:
        for one in run.published:
            numbers[run.name, one.metric] = one.value, one.source
            if one.sd is not None:
                numbers[run.name, f"{one.metric}#sd"] = one.sd, one.source
            for number, value in enumerate(one.repetitions, start=1):
                numbers[run.name, f"{one.metric}#{number}"] = value, one.source
        if run.confusion:
            source, matrix = run.confusion
            for label, row in zip(matrix.classes, matrix.rows, strict=True):
                numbers[run.name, f"confusion.{label}"] = list(row), source
    return numbers


def as_printed(value: float | list[int], number: Number) -> str:
    """The recipe's value with the digits that the table has."""
    if isinstance(value, list):
        return " ".join(map(str, value))
    plain = number.printed.rstrip("%")
    per_cent = plain != number.printed or (is_share(number.column) and float(plain) > 1)
    text = f"{100 * value if per_cent else value:.{len(plain.partition('.')[2])}f}"
    return text + number.printed.removeprefix(plain)


@pytest.mark.parametrize("key", KEYS)
def test_the_recipe_has_the_numbers_of_the_tables_and_no_others(key: str) -> None:
    recipe, seen = recipe_numbers(RECIPES[key]), set()
    for number in read_tables(key):
        if number.column in NOT_IN_THE_RECIPE:
            continue
        value, source = recipe[number.run, number.metric]
        seen.add((number.run, number.metric))
        assert as_printed(value, number) == number.printed, f"{number.key}: {number.run} has {value}"
        last = re.escape(number.table.split()[-1])
        assert re.search(rf"\b{last}\b", source), f"{number.key}: the recipe's source is {source}"
    assert seen == set(recipe)


@pytest.mark.parametrize("key", KEYS)
def test_quotations_are_in_the_paper(key: str) -> None:
    """Needs the papers' texts: CANDID_PAPERS names a folder of them, else ../shared/papers."""
    folder = Path(os.environ.get("CANDID_PAPERS", REPOSITORY.parent / "shared" / "papers"))
    texts = [squeezed(file.read_text(encoding="utf-8", errors="replace")) for file in folder.glob("*.txt")]
    recipe = RECIPES[key]
    origins = [*recipe.given.values(), *recipe.interpreted.values(), *recipe.notes.values()]
    quotations = [squeezed(one) for text in origins for one in re.findall('"([^"]+)"', text)]
    if not texts:
        pytest.skip("the papers' texts are not here: set CANDID_PAPERS")
    (paper,) = (text for text in texts if quotations[0] in text)
    assert [one for one in quotations if one not in paper] == []


def squeezed(text: str) -> str:
    """Without spaces, hyphens and marks of emphasis, which differ in what is extracted from a PDF."""
    for broken, letters in (("Ô¨Å", "fi"), ("Ô¨Ä", "ff")):
        text = text.replace(broken, letters)
    return re.sub(r"[\s*|-]+", "", text).lower()
