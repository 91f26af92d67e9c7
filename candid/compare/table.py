"""A paper's numbers, published, measured and leak-free, side by side: values, text, Markdown."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from candid.compare.measured import distance, gather
from candid.compare.results import FOLDER, Measured, Score, read_experiments, read_export
from candid.errors import CandidError
from candid.recipes import Published, Recipe, Run, load_recipe
from candid.recipes.recipe import is_share
from candid.text import clean, markdown, markdown_table, points, table

WIDTH = 118
NONE = "–"
LEGEND = (
    "Shares in per cent, differences in points; ± standard deviation; 95 % intervals by resampling groups "
    "of related test faces; ms a face: 64 at once, on all threads of the machine that evaluated."
)


class Row(NamedTuple):
    """A number of the paper's beside ours; or ours alone, where the paper has none."""

    run: str
    metric: str
    published: Published | None
    measured: Score | None
    leak_free: Score | None

    @property
    def difference(self) -> float | None:
        """Measured minus published."""
        if self.measured is None or self.published is None:
            return None
        return self.measured.value - self.published.value

    @property
    def within(self) -> bool | None:
        """Whether the published number lies in the measured one's 95 % interval; None without one."""
        if self.measured is None or self.published is None or self.measured.low is None:
            return None
        return self.measured.low <= self.published.value <= (self.measured.high or 0.0)


@dataclass(frozen=True)
class Pair:
    """A run with what was measured under the paper's protocol and under the leak-free one."""

    run: Run
    measured: Measured | None
    leak_free: Measured | None

    @property
    def results(self) -> list[tuple[str, Measured]]:
        """Column -> result, of those that there are."""
        both = (("measured", self.measured), ("leak-free", self.leak_free))
        return [(name, one) for name, one in both if one is not None]

    def rows(self, full: bool) -> list[Row]:
        """The headline number; in full every number of the paper's, classes last, and each class's recall."""
        published = {one.metric: one for one in self.run.published}
        metrics = [headline(self.run)]
        if full:
            ours = [metric for _, one in self.results for metric in one.scores if metric.endswith(".recall")]
            metrics += [*published, *([] if any("per_class" in one for one in published) else ours)]
            metrics.sort(key=lambda metric: metric.startswith("per_class."))
        return [
            Row(
                self.run.name,
                metric,
                published.get(metric),
                self.measured.scores.get(metric) if self.measured else None,
                self.leak_free.scores.get(metric) if self.leak_free else None,
            )
            for metric in dict.fromkeys(metrics)
        ]


@dataclass(frozen=True)
class Comparison:
    """All there is to show of a recipe."""

    recipe: Recipe
    pairs: list[Pair]
    """One a run, the results nearest to the recipe; in full one more for each other variation."""

    def rows(self, full: bool) -> list[Row]:
        """Rows of all runs."""
        return [row for pair in self.pairs for row in pair.rows(full)]

    def not_run(self, leak_free: bool) -> list[str]:
        """Runs of which nothing was measured."""
        known = {pair.run.name for pair in self.pairs if (pair.leak_free if leak_free else pair.measured)}
        return [name for name in dict.fromkeys(pair.run.name for pair in self.pairs) if name not in known]


def compare(
    recipe: str, root: str | Path = ".", full: bool = True, folder: str | Path | None = None
) -> pd.DataFrame:
    """Return a paper's numbers beside ours, one row a number.

    Args:
        recipe: a file of recipes/ without .yaml.
        root: the project; its DVC experiments are read from git, and where a run has none, recipes/measured.
        full: every number of the paper's, not only the one that a run is known by.
        folder: of recorded results, in place of the experiments.

    Returns:
        Columns run, metric, published, source, then for measured (the paper's protocol) and leak_free: the
        value, _low and _high (95 %), _faces (test faces) and _leaked (with a related image in training).
        Shares are fractions; NaN where there is no number.

    Raises:
        CandidError: no such recipe or folder, or no git repository.

    Example:
        >>> table = compare("li2021", full=False)
        >>> table.loc[table["run"] == "own-images", ["metric", "published"]].values.tolist()
        [['accuracy', 0.9539]]
    """
    root = Path(root)
    paper = load_recipe(recipe, root / "recipes", root / "params.yaml")
    pairs = build(root, paper, paper.runs, None if folder is None else Path(folder), full).pairs
    return pd.DataFrame([_record(pair, row) for pair in pairs for row in pair.rows(full)])


def _record(pair: Pair, row: Row) -> dict[str, Any]:
    record: dict[str, Any] = {"run": row.run, "metric": row.metric}
    record |= {name: row.published and getattr(row.published, key)
               for name, key in (("published", "value"), ("source", "source"))}  # fmt: skip
    for name in ("measured", "leak_free"):
        score, result = getattr(row, name), getattr(pair, name)
        record |= {
            name: score and score.value,
            f"{name}_low": score and score.low,
            f"{name}_high": score and score.high,
        }
        record |= {f"{name}_faces": result and result.faces, f"{name}_leaked": result and result.leaked}
    return record


def build(
    root: Path, recipe: Recipe, runs: Sequence[Run], folder: Path | None = None, full: bool = False
) -> Comparison:
    """Compare the runs.

    Args:
        root: the project.
        recipe: the paper's.
        runs: of it, those to show.
        folder: of recorded results, in place of the experiments; None: the experiments and what is committed
            in recipes/measured/<recipe>, of which the result nearest to the recipe counts.
        full: every metric, and each variation of a run.
    """
    if folder is not None and not folder.is_dir():
        raise CandidError(f"{folder}: no such folder; expected what --export wrote")
    experiments = [] if folder is not None else read_experiments(root, recipe, [run.name for run in runs])
    recorded = read_export(folder or root / FOLDER / recipe.key, recipe)
    pairs: list[Pair] = []
    for run in runs:
        metrics = [headline(run), "milliseconds", *([one.metric for one in run.published] if full else [])]
        ours = [*metrics, *(("macro.f1",) if full else ())]
        pools = []
        for free in (False, True):
            stored = [one for one in recorded if (one.run, one.leak_free) == (run.name, free)]
            pools.append(sorted([*gather(recipe, run, free, experiments, ours, full), *stored], key=distance))
        pairs.append(_pair(run, *pools))
        shown = [one for _, one in pairs[-1].results]
        if full:
            rest = [[one for one in pool if one not in shown] for pool in pools]
            for name in dict.fromkeys(one.variation for pool in rest for one in pool):
                pairs.append(_pair(run, *([one for one in pool if one.variation == name] for pool in rest)))
    return Comparison(recipe, pairs)


def _pair(run: Run, measured: Sequence[Measured], leak_free: Sequence[Measured]) -> Pair:
    """The nearest to the recipe, and the leak-free one of the same variation where there is one."""
    first = next(iter(measured), None)
    alike = [one for one in leak_free if first is not None and one.variation == first.variation]
    return Pair(run, first, next(iter(alike or leak_free), None))


def headline(run: Run) -> str:
    """The metric that a run is known by: the first that the paper has, else accuracy."""
    return run.published[0].metric if run.published else "accuracy"


def choose(recipe: Recipe, wanted: Sequence[str]) -> list[Run]:
    """The runs of these names, patterns (*-rafdb) or parts of names (resnet18), in order; [] is all.

    Raises:
        CandidError: one fits no run.
    """
    chosen: set[str] = set()
    for text in wanted:
        fits = [run.name for run in recipe.runs if fnmatchcase(run.name, text)]
        fits = fits or [run.name for run in recipe.runs if f"-{text}-" in f"-{run.name}-"]
        if not fits:
            names = ", ".join(run.name for run in recipe.runs)
            raise CandidError(f"{recipe.key} has no run {text!r}; expected one of {names}")
        chosen |= set(fits)
    return [run for run in recipe.runs if run.name in chosen or not wanted]


Quote = Callable[[str], str]
Block = tuple[str, Any]
"""A kind (title, head, text, item, table) and its content."""


def render(comparison: Comparison, full: bool, as_markdown: bool = False) -> str:
    """For a terminal of 120 columns, or as a section of a Markdown page."""
    starts = {"title": "## ", "head": "### ", "item": "- ", "text": ""} if as_markdown else {"item": "- "}
    lines: list[str] = []
    for kind, content in _page(comparison, full, markdown if as_markdown else clean):
        start = starts.get(kind, "")
        if kind == "table":
            header, rows = content
            make: Callable[..., list[str]] = markdown_table if as_markdown else table
            lines += ["", *make(header, rows, _left(header)), ""]
        elif kind == "item" and not as_markdown:
            lines += textwrap.wrap(start + content, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
        elif kind == "item":
            lines.append(start + content)
        else:
            wide = [start + content] if as_markdown else textwrap.wrap(content, WIDTH, break_on_hyphens=False)
            lines += ["", *wide, ""]
    return re.sub("\n{3,}", "\n\n", "\n".join(lines).strip()) + "\n"


def _left(header: Sequence[str]) -> list[int]:
    words = ("run", "metric", "source", "measured (95 %)", "leak-free (95 %)", "actual")
    return [number for number, name in enumerate(header) if name in words]


def _page(comparison: Comparison, full: bool, quote: Quote) -> Iterator[Block]:
    """What is shown, from top to bottom; `quote` makes safe what strangers named (settings, classes)."""
    recipe = comparison.recipe
    yield "title", f"{recipe.paper.short}: {recipe.paper.title}"
    yield "text", f"Claim: {recipe.claim}"
    for name, leak_free in (("published and measured", False), ("leak-free", True)):
        protocols: dict[str, list[str]] = {}
        for pair in comparison.pairs:
            protocols.setdefault(pair.run.protocol(leak_free).text, []).append(pair.run.name)
        for text, names in protocols.items():
            runs = "" if len(protocols) == 1 else f" ({', '.join(dict.fromkeys(names))})"
            yield "item", f"{name}{runs}: {text}"
    yield "table", _numbers(comparison.rows(full=False), run=True)
    yield from (("item", sentence) for sentence in summary(comparison))
    for pair in comparison.pairs:
        yield from (("item", f"{pair.run.name}, {name}: {behind(one, quote)}") for name, one in pair.results)
    for leak_free, option in ((False, ""), (True, " --leak-free")):
        if names := comparison.not_run(leak_free):
            kind = "the leak-free protocol" if leak_free else "the paper's protocol"
            command = f"candid reproduce {recipe.key}{option}"
            yield "item", f"Not run under {kind}: {', '.join(names)}. To run them: {command}"
    if full:
        for pair in comparison.pairs:
            yield from _details(pair, quote)
        yield "head", "Where the paper contradicts itself or the data"
        yield from (("item", f"{name}: {note}") for name, note in recipe.notes.items())
    yield "text", LEGEND


def _details(pair: Pair, quote: Quote) -> Iterator[Block]:
    """Every number of a run, its repetitions and its confusion matrices."""
    variation = next((f" ({quote(one.variation)})" for _, one in pair.results if one.variation), "")
    yield "head", f"{pair.run.name}{variation}: {pair.run.about}"
    rows = pair.rows(full=True)
    header, cells = _numbers(rows, run=False)
    yield "table", (header, [[quote(line[0]), *line[1:]] for line in cells])
    for row in rows:
        if row.published is not None and row.published.repetitions:
            lists = [("published", row.published.repetitions)]
            lists += [
                (name, tuple(one.scores[row.metric].each))
                for name, one in pair.results
                if row.metric in one.scores
            ]
            listed = "; ".join(
                f"{name} {', '.join(f'{100 * one:.4g}' for one in each)}" for name, each in lists if each
            )
            yield "item", f"{metric_name(row.metric)} of each repetition: {listed}"
    if pair.run.confusion is not None:
        source, printed = pair.run.confusion
        yield from _matrix(f"published ({source})", printed.classes, printed.counts)
    for name, one in pair.results:
        if one.confusion is not None:
            yield from _matrix(
                f"{name}, {one.over or 'one experiment'}",
                [quote(label) for label in one.confusion["classes"]],
                one.confusion["counts"],
            )


def _matrix(name: str, classes: Sequence[str], counts: Sequence[Sequence[int]]) -> Iterator[Block]:
    yield "text", f"Confusion matrix, {name}; faces by actual class (rows) and prediction:"
    yield (
        "table",
        (["actual", *classes], [[label, *map(str, row)] for label, row in zip(classes, counts, strict=True)]),
    )


def _numbers(rows: Sequence[Row], run: bool) -> tuple[list[str], list[list[str]]]:
    header = ["metric", "published", "source", "measured (95 %)", "difference", "leak-free (95 %)"]
    cells = [
        [
            metric_name(row.metric),
            published(row.published),
            row.published.source if row.published else "",
            estimate(row.measured, row.metric),
            difference(row),
            estimate(row.leak_free, row.metric),
        ]
        for row in rows
    ]
    if run:
        return ["run", *header], [[row.run, *line] for row, line in zip(rows, cells, strict=True)]
    return header, cells


def metric_name(metric: str) -> str:
    """A metric in words: `happy recall`, `macro F1`."""
    words = metric.removeprefix("per_class.").replace("_", " ").replace(".", " ")
    return words.replace(" f1", " F1").replace(" auc", " AUC")


def number(value: float, metric: str) -> str:
    """A share in per cent, a loss as it is, a count without decimals where it has none."""
    if is_share(metric):
        return f"{100 * value:.1f}"
    return f"{value:.3f}" if metric.endswith("loss") else f"{value:.4g}"


def published(of: Published | None) -> str:
    """The paper's number with the digits that it prints, and its standard deviation."""
    if of is None:
        return NONE
    values = [of.value] if of.sd is None else [of.value, of.sd]
    return " ± ".join(f"{round(100 * one, 3):g}" if is_share(of.metric) else f"{one:g}" for one in values)


def estimate(of: Score | None, metric: str) -> str:
    """Such as `97.4 ± 1.5 (95.2 to 99.0)`."""
    if of is None:
        return NONE
    sd = "" if of.sd is None else f" ± {number(of.sd, metric)}"
    bounds = (
        ""
        if of.low is None or of.high is None
        else f" ({number(of.low, metric)} to {number(of.high, metric)})"
    )
    return number(of.value, metric) + sd + bounds


def difference(row: Row) -> str:
    """Measured minus published, in points, with its sign."""
    if row.difference is None:
        return NONE
    if is_share(row.metric):
        return points(row.difference)
    return f"{row.difference:+.4g}".replace("-", "\N{MINUS SIGN}").replace("+0", "0", not row.difference)


def behind(of: Measured, quote: Quote = clean) -> str:
    """What a number is of: experiments, faces, leaks, and what is not as in the recipe."""
    parts = []
    if of.over:
        parts.append(
            f"mean over {of.over}" if "seed" in of.over or "repet" in of.over else f"all faces of {of.over}"
        )
    if of.members < of.wanted:
        parts.append(f"{of.members} of {of.wanted} experiments")
    parts.append(f"{of.faces:,} test faces, {of.leaked:,} of them leaked")
    if time := of.scores.get("milliseconds"):
        parts.append(f"{time.value:.2f} ms a face")
    parts += [
        f"{key} {quote(_value(had))} instead of {_value(wanted)}" for key, (had, wanted) in of.changed.items()
    ]
    origin = "recorded at commit" if of.recorded else "at commit"
    return f"{'; '.join(parts)}; {origin} {', '.join(of.baselines)}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_value(inner)}" for key, inner in value.items()) + "}"
    return "null" if value is None else str(value)


def summary(comparison: Comparison) -> list[str]:
    """The table in a few sentences."""
    sentences = []
    firsts = {pair.run.name: pair for pair in reversed(comparison.pairs)}
    pairs = [firsts[name] for name in reversed(firsts)]
    rows = [pair.rows(full=False)[0] for pair in pairs]
    judged = [row.within for row in rows if row.within is not None]
    if judged:
        sentences.append(
            f"Published numbers within the 95 % interval of the measured one: {sum(judged)} of {len(judged)}."
        )
    gaps: dict[str, list[float]] = {"published": [], "measured": []}
    for pair, row in zip(pairs, rows, strict=True):
        alike = pair.measured and pair.leak_free and pair.measured.variation == pair.leak_free.variation
        for name, other in (("published", row.published), ("measured", row.measured if alike else None)):
            if row.leak_free is not None and other is not None:
                gaps[name].append(row.leak_free.value - other.value)
    for name, known in gaps.items():
        if known:
            span = " to ".join(points(one) for one in dict.fromkeys((min(known), max(known))))
            runs = f"{len(known)} run{'s' * (len(known) > 1)}"
            sentences.append(f"Leak-free minus {name}: {span} points ({runs}).")
    changed = sum(bool(one.changed) or one.members < one.wanted for pair in pairs for _, one in pair.results)
    if changed:
        sentences.append(
            f"Results that are not as the recipe has them, or incomplete: {changed}; how, is below."
        )
    return sentences
