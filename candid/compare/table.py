"""A paper's numbers, published, measured and leak-free, side by side: values, text, Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from candid.compare.measured import GAIN, Measured, Score, distance, gather, read_experiments, read_export
from candid.errors import CandidError
from candid.recipes.load import load_recipe
from candid.recipes.recipe import Published, Recipe, Run, is_share
from candid.text import clean, markdown, markdown_table, points, table

FOLDER = Path("recipes/measured")
WIDTH = 118
NONE = "–"
HEADER = ("metric", "published", "source", "measured (95 %)", "difference", "leak-free (95 %)")
LEFT = ("run", "metric", "source", "measured (95 %)", "leak-free (95 %)", "actual")  # aligned left
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
        return self.measured.value - self.published.value if self.measured and self.published else None

    @property
    def within(self) -> bool | None:
        """Whether the published number lies in the measured one's 95 % interval; None without one."""
        if not self.measured or not self.published or self.measured.low is None:
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
        return [(name, one) for name, one in both if one]

    def rows(self, full: bool) -> list[Row]:
        """The headline number, and what transfer adds to it.

        In full every number of the paper's, classes last, and each class's recall.
        """
        published = {one.metric: one for one in self.run.published}
        known = [metric for _, one in self.results for metric in one.scores]
        metrics = [headline(self.run), *(metric for metric in known if metric.endswith(GAIN))]
        if full:
            ours = [metric for metric in known if metric.endswith(".recall")]
            metrics += [*published, *([] if any("per_class" in one for one in published) else ours)]
            metrics.sort(key=lambda metric: metric.startswith("per_class."))
        both = [one.scores if one else {} for one in (self.measured, self.leak_free)]
        return [
            Row(self.run.name, metric, published.get(metric), *(scores.get(metric) for scores in both))
            for metric in dict.fromkeys(metrics)
        ]


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
    pairs = build(root, paper, paper.runs, None if folder is None else Path(folder), full)
    return pd.DataFrame([_record(pair, row) for pair in pairs for row in pair.rows(full)])


def _record(pair: Pair, row: Row) -> dict[str, Any]:
    value, source = (row.published.value, row.published.source) if row.published else (None, None)
    record: dict[str, Any] = {"run": row.run, "metric": row.metric, "published": value, "source": source}
    for name in ("measured", "leak_free"):
        score, result = getattr(row, name), getattr(pair, name)
        for end, of, key in (("", score, "value"), ("_low", score, "low"), ("_high", score, "high"),
                             ("_faces", result, "faces"), ("_leaked", result, "leaked")):  # fmt: skip
            record[name + end] = of and getattr(of, key)
    return record


def build(
    root: Path, recipe: Recipe, runs: Sequence[Run], folder: Path | None = None, full: bool = False
) -> list[Pair]:
    """Compare the runs, in their order; in full every metric, and one more pair a variation of a run.

    `folder` has recorded results, in place of the experiments; without it the experiments and what is
    committed in recipes/measured/<recipe> are read, and the result nearest to the recipe counts.
    """
    if folder is not None and not folder.is_dir():
        raise CandidError(f"{folder}: no such folder; expected what --export wrote")
    experiments = [] if folder is not None else read_experiments(root, recipe, [run.name for run in runs])
    recorded = read_export(folder or root / FOLDER / recipe.key, recipe)
    pairs: list[Pair] = []
    for run in runs:
        metrics = [headline(run), "accuracy", "milliseconds"]
        metrics += [*(one.metric for one in run.published), "macro.f1"] if full else []
        pools = []
        for free in (False, True):
            stored = [one for one in recorded if (one.run, one.leak_free) == (run.name, free)]
            measured = gather(recipe, run, free, experiments, metrics, full)
            pools.append(sorted([*measured, *stored], key=distance))
        pairs.append(_pair(run, *pools))
        shown = [one for _, one in pairs[-1].results]
        rest = [[one for one in pool if full and not any(one is other for other in shown)] for pool in pools]
        for name in dict.fromkeys(one.variation for pool in rest for one in pool):
            pairs.append(_pair(run, *([one for one in pool if one.variation == name] for pool in rest)))
    return pairs


def _pair(run: Run, measured: Sequence[Measured], leak_free: Sequence[Measured]) -> Pair:
    """The nearest to the recipe, and the leak-free one of the same variation where there is one."""
    first = next(iter(measured), None)
    alike = [one for one in leak_free if first is not None and one.variation == first.variation]
    return Pair(run, first, next(iter(alike or leak_free), None))


def headline(run: Run) -> str:
    """The metric that a run is known by: the first that the paper has, else accuracy."""
    return run.published[0].metric if run.published else "accuracy"


def choose(recipe: Recipe, wanted: Sequence[str]) -> list[Run]:
    """The runs of these names, patterns (*-rafdb) or parts of names (resnet18), in order; [] is all."""
    chosen: set[str] = set()
    for text in wanted:
        fits = [run.name for run in recipe.runs if fnmatchcase(run.name, text)]
        fits = fits or [run.name for run in recipe.runs if f"-{text}-" in f"-{run.name}-"]
        if not fits:
            names = ", ".join(run.name for run in recipe.runs)
            raise CandidError(f"{recipe.key} has no run {text!r}; expected one of {names}")
        chosen |= set(fits)
    return [run for run in recipe.runs if run.name in chosen or not wanted]


def render(recipe: Recipe, pairs: Sequence[Pair], full: bool, as_markdown: bool = False) -> str:
    """For a terminal of 120 columns, or as a section of a Markdown page."""
    quote, make = (markdown, markdown_table) if as_markdown else (clean, table)
    starts = {"title": "## ", "head": "### "} if as_markdown else {}
    blocks: list[str] = []
    for kind, content in _page(recipe, pairs, full, quote):
        if kind == "table":
            header, rows = content
            left = [number for number, name in enumerate(header) if name in LEFT]
            blocks.append("\n".join(make(header, rows, left)))
            continue
        lines = [f"- {line}" for line in content] if kind == "list" else [starts.get(kind, "") + content]
        if not as_markdown:
            indent = "  " if kind == "list" else ""
            wrap = textwrap.TextWrapper(WIDTH, subsequent_indent=indent, break_on_hyphens=False)
            lines = [wrap.fill(line) for line in lines]
        blocks.append("\n".join(lines))
    return "\n\n".join(filter(None, blocks)) + "\n"


def _page(
    recipe: Recipe, pairs: Sequence[Pair], full: bool, quote: Callable[[str], str]
) -> Iterator[tuple[str, Any]]:
    """Kind (title, head, text, list, table) and content of what is shown, from top to bottom.

    `quote` makes safe what strangers named (settings, classes).
    """
    yield "title", f"{recipe.paper.short}: {recipe.paper.title}"
    yield "text", f"Claim: {recipe.claim}"
    described = []
    for name, leak_free in (("published and measured", False), ("leak-free", True)):
        protocols: dict[str, list[str]] = {}
        for pair in pairs:
            protocols.setdefault(pair.run.protocol(leak_free).text, []).append(pair.run.name)
        for text, names in protocols.items():
            runs = "" if len(protocols) == 1 else f" ({', '.join(dict.fromkeys(names))})"
            described.append(f"{name}{runs}: {text}")
    yield "list", described
    rows = [row for pair in pairs for row in pair.rows(full=False)]
    yield "table", (("run", *HEADER), [[row.run, *_cells(row)] for row in rows])
    below = summary(pairs)
    below += [f"{pair.run.name}, {name}: {behind(one, quote)}"
              for pair in pairs for name, one in pair.results]  # fmt: skip
    for kind, leak_free, option in (("paper's", False, ""), ("leak-free", True, " --leak-free")):
        known = {pair.run.name for pair in pairs if (pair.leak_free if leak_free else pair.measured)}
        if names := [name for name in dict.fromkeys(pair.run.name for pair in pairs) if name not in known]:
            command = f"candid reproduce {recipe.key}{option}"
            below.append(f"Not run under the {kind} protocol: {', '.join(names)}. To run them: {command}")
    yield "list", below
    if full:
        for pair in pairs:
            yield from _details(pair, quote)
        yield "head", "Where the paper contradicts itself or the data"
        yield "list", [f"{name}: {note}" for name, note in recipe.notes.items()]
    yield "text", LEGEND


def _details(pair: Pair, quote: Callable[[str], str]) -> Iterator[tuple[str, Any]]:
    """Every number of a run, its repetitions and its confusion matrices."""
    variation = next((f" ({quote(one.variation)})" for _, one in pair.results if one.variation), "")
    yield "head", f"{pair.run.name}{variation}: {pair.run.about}"
    rows = pair.rows(full=True)
    yield "table", (HEADER, [[quote(name), *others] for name, *others in map(_cells, rows)])
    repeated = []
    for row in rows:
        if row.published and row.published.repetitions:
            lists = [("published", row.published.repetitions)]
            known = [(name, one.scores.get(row.metric)) for name, one in pair.results]
            lists += [(name, tuple(score.each)) for name, score in known if score]
            said = [f"{name} {', '.join(f'{100 * one:.4g}' for one in each)}" for name, each in lists if each]
            repeated.append(f"{metric_name(row.metric)} of each repetition: {'; '.join(said)}")
    yield "list", repeated
    matrices = []
    if pair.run.confusion:
        source, printed = pair.run.confusion
        matrices.append((f"published ({source})", printed.classes, printed.counts))
    matrices += [(f"{name}, {one.over or 'one experiment'}", [*map(quote, one.confusion["classes"])],
                  one.confusion["counts"]) for name, one in pair.results if one.confusion]  # fmt: skip
    for name, classes, counts in matrices:
        yield "text", f"Confusion matrix, {name}; faces by actual class (rows) and prediction:"
        cells = [[label, *map(str, row)] for label, row in zip(classes, counts, strict=True)]
        yield "table", (["actual", *classes], cells)


def _cells(row: Row) -> list[str]:
    """Cells under HEADER."""
    source = row.published.source if row.published else ""
    measured, leak_free = (estimate(one, row.metric) for one in (row.measured, row.leak_free))
    return [metric_name(row.metric), published(row.published), source, measured, difference(row), leak_free]


def metric_name(metric: str) -> str:
    """A metric in words: `happy recall`, `macro F1`."""
    words = metric.removeprefix("per_class.").replace("_", " ").replace(".", " ")
    return words.replace(" f1", " F1").replace(" auc", " AUC")


def number(value: float, metric: str) -> str:
    """A share in per cent, a change in points, a loss as it is, a count without decimals where possible."""
    if metric.endswith(GAIN):
        return points(value)
    if is_share(metric):
        return f"{100 * value:.1f}"
    return f"{value:.3f}" if metric.endswith("loss") else f"{value:.4g}"


def published(of: Published | None) -> str:
    """The paper's number with the digits that it prints, and its standard deviation."""
    values = [one for one in (of.value, of.sd) if one is not None] if of else []
    shown = [f"{round(100 * one, 3):g}" if of and is_share(of.metric) else f"{one:g}" for one in values]
    return " ± ".join(shown) or NONE


def estimate(of: Score | None, metric: str) -> str:
    """Such as `97.4 ± 1.5 (95.2 to 99.0)`."""
    if of is None:
        return NONE
    value, sd, low, high = (
        None if one is None else number(one, metric) for one in (of.value, of.sd, of.low, of.high)
    )
    return f"{value}{f' ± {sd}' if sd else ''}{f' ({low} to {high})' if low and high else ''}"


def difference(row: Row) -> str:
    """Measured minus published, in points, with its sign."""
    if row.difference is None:
        return NONE
    if is_share(row.metric):
        return points(row.difference)
    return f"{row.difference:+.4g}".replace("-", "\N{MINUS SIGN}").replace("+0", "0", not row.difference)


def behind(of: Measured, quote: Callable[[str], str] = clean) -> str:
    """What a number is of: experiments, faces, leaks, and what is not as in the recipe."""
    parts = []
    if of.over:
        kind = "mean over" if "seed" in of.over or "repet" in of.over else "all faces of"
        parts.append(f"{kind} {of.over}")
    if of.members < of.wanted:
        parts.append(f"{of.members} of {of.wanted} experiments")
    parts.append(f"{of.faces:,} test faces, {of.leaked:,} of them leaked")
    if time := of.scores.get("milliseconds"):
        parts.append(f"{time.value:.2f} ms a face")
    changed = of.changed.items()
    parts += [f"{key} {quote(_value(had))} instead of {_value(wanted)}" for key, (had, wanted) in changed]
    origin = "recorded at commit" if of.recorded else "at commit"
    return f"{'; '.join(parts)}; {origin} {', '.join(of.baselines)}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_value(inner)}" for key, inner in value.items()) + "}"
    return "null" if value is None else str(value)


def summary(pairs: Sequence[Pair]) -> list[str]:
    """The table in a few sentences."""
    sentences = []
    pairs = list({pair.run.name: pair for pair in reversed(pairs)}.values())[::-1]
    rows = [pair.rows(full=False)[0] for pair in pairs]
    judged = [row.within for row in rows if row.within is not None]
    if judged:
        inside = f"{sum(judged)} of {len(judged)}"
        sentences.append(f"Published numbers within the 95 % interval of the measured one: {inside}.")
    gaps: dict[str, list[float]] = {"published": [], "measured": []}
    for pair, row in zip(pairs, rows, strict=True):
        alike = pair.measured and pair.leak_free and pair.measured.variation == pair.leak_free.variation
        for name, other in (("published", row.published), ("measured", row.measured if alike else None)):
            if row.leak_free and other:
                gaps[name].append(row.leak_free.value - other.value)
    for name, known in gaps.items():
        if known:
            span = " to ".join(points(one) for one in dict.fromkeys((min(known), max(known))))
            runs = f"{len(known)} run{'s' * (len(known) > 1)}"
            sentences.append(f"Leak-free minus {name}: {span} points ({runs}).")
    changed = sum(bool(one.changed) or one.members < one.wanted for pair in pairs for _, one in pair.results)
    if changed:
        about = "Results that are not as the recipe has them, or incomplete"
        sentences.append(f"{about}: {changed}; how, is below.")
    return sentences
