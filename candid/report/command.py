"""Write the report of the present run, and of experiments if named: candid report [EXPERIMENT...]

With --card it writes the model card instead, with --comment what CI says on a pull request.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from candid import html, text
from candid.cli import Parser
from candid.data.catalogue import Dataset, read_catalogue
from candid.errors import CandidError
from candid.evaluation.picture import short
from candid.files import write_text
from candid.gate.command import HEADLINE, as_markdown, below, cannot_compare, row
from candid.gate.results import METRICS, PREDICTIONS, Revision, flat, git, pair, resolve
from candid.gate.statistics import compare_pairs
from candid.gate.verdict import judge
from candid.report.run import Run, class_counts, different_settings, number, read_run, setting_text, share
from candid.text import markdown, markdown_table

AVERAGES = ("macro", "micro", "weighted")
HINT = "all numbers: metrics/report.json; interactive plots: dvc plots show; a page: make report"
MAX_CHARACTERS = 65_000  # GitHub takes 65,536
MAX_ROWS, MAX_LENGTH = 60, 80
LICENCE = "apache-2.0"
CLASS_SCORES = ("precision", "recall", "f1")
SCORES = (
    ("accuracy", "Accuracy", "", "accuracy"),
    ("f1", "Macro F1", "macro", "f1"),
    ("precision", "Macro precision", "macro", "precision"),
    ("recall", "Macro recall", "macro", "recall"),
    ("roc_auc", "Macro AUC, one against the rest", "macro", "auc"),
)
"""Type that a hub knows, name, section of metrics/report.json, and key."""


def main(arguments: list[str] | None = None) -> None:
    """Read, write one file, print its path."""
    parser = Parser(prog="candid report", description=__doc__)
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help="or branch, tag, commit")
    parser.add_argument("--baseline", metavar="REV", help="compared with; default: the results before these")
    parser.add_argument("--no-faces", action="store_true", help="leave the sheet of mistakes out")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--card", action="store_true", help="write the model card")
    kind.add_argument("--numbers", action="store_true", help="print the metrics and the paths of the plots")
    kind.add_argument("--comment", action="store_true", help="write CI's comment; needs --baseline")
    parser.add_argument("--link", metavar="URL", help="of the CI run, for the comment")
    default = "default: report/index.html, report/model-card.md, report/comment.md"
    parser.add_argument("--out", type=Path, help=default)
    options = parser.parse_args(arguments)
    here = Revision(Path())
    if options.experiments and (options.card or options.comment):
        raise CandidError("--card and --comment describe the present run alone; expected no experiment")
    if options.numbers:
        print(*numbers(here), sep="\n")
        return
    if options.comment and options.baseline is None:
        raise CandidError("--comment compares with a revision; expected --baseline REV")
    if options.card:
        path, content = Path("report/model-card.md"), card(read_run(here))
    elif options.comment:
        path, content = Path("report/comment.md"), comment(options.baseline, here, options.link)
    else:
        runs = [read_run(here), *(read_run(resolve(here.root, name)) for name in options.experiments)]
        path, content = Path("report/index.html"), page(runs, here, options.baseline, not options.no_faces)
    write_text(options.out or path, content)
    print(options.out or path)


def numbers(here: Revision) -> list[str]:
    """The metrics of a working tree as a table for the terminal, and where its plots are."""
    rows = [(name, f"{value:.4f}") for name, value in here.json("metrics/metrics.json").items()]
    plots = sorted(str(path) for path in (here.root / "plots").glob("*.png"))
    paths = textwrap.wrap(f"plots: {' '.join(plots)}", 110, subsequent_indent=" " * 7)
    return [*text.table(("metric", "test set"), rows), "", *paths, HINT]


def page(runs: Sequence[Run], here: Revision, baseline: str | None, show_faces: bool = True) -> str:
    """HTML of the present run, the first, and of others beside it; baseline None: the results before it."""
    first = runs[0]
    verdict, reason = None, "No earlier results in git to compare with; name a revision: --baseline main"
    baseline = baseline or previous(here.root)
    if baseline is not None:
        try:
            verdict = judge(resolve(here.root, baseline), here)
        except CandidError as error:
            reason = f"Not compared with {baseline[:40]}: {error}."
    return html.render(
        "report.html",
        title=f"{first.title}: {text.percent(first.scores['accuracy'])} accuracy",
        runs=runs,
        show_faces=show_faces,
        trivial=_trivial(first),
        verdict=verdict,
        no_verdict=reason,
        checks=[HEADLINE, *map(row, verdict.comparison.headline)] if verdict else [],
        below=below(verdict) if verdict else [],
        side_by_side=[_side_by_side(first, run) for run in runs] if len(runs) > 1 else [],
        different=different_settings(runs),
        number=number,
        share=share,
        data_uri=html.data_uri,
        class_counts=class_counts,
        averages=lambda run: [[name, *_cells(run.scores.get(name) or {})] for name in AVERAGES],
        per_class=_per_class,
        cells=lambda values: [[text.clean(setting_text(cell)) for cell in row] for row in flat(values)],
    )


def previous(root: Path) -> str | None:
    """The revision before the present results: HEAD while they are not committed, else the one before."""
    with suppress(CandidError):
        commits = git(root, "log", "-2", "--format=%H", "--", PREDICTIONS).decode().split()
        changed = commits and git(root, "status", "--porcelain", "--", PREDICTIONS)
        return "HEAD" if changed else next(iter(commits[1:]), None)
    return None


def _trivial(run: Run) -> str:
    """What needs no model."""
    results = run.results
    support = np.bincount(results.actual, minlength=len(results.classes))
    most, evenly = int(support.argmax()), text.percent(1 / len(support))
    constant = f"{results.classes[most]} is right on {text.percent(support[most] / support.sum())}"
    return f"Without seeing a face: always answering {constant}, guessing evenly on {evenly}."


def _side_by_side(first: Run, run: Run) -> tuple[str, ...]:
    """A run with its protocol, paired with the first on the same faces; why not where that can't be."""
    about = text.clean("; ".join((run.net, run.dataset, run.protocol, run.clean)))
    change = "–"
    if run is not first:
        try:
            comparison = compare_pairs(pair(first.results, run.results)[0], resamples=1000)
            drop = text.points(comparison.headline[0].change)
            change = f"{drop} points, McNemar p = {comparison.mcnemar.p_value:.2g}"
        except CandidError as error:
            change = text.clean(str(error).partition(";")[0])
    scores = run.scores
    headline = (share(scores, "accuracy"), share(scores["macro"], "f1"), number(scores.get("faces")))
    return text.clean(run.results.name), about, *headline, change


def _per_class(run: Run) -> list[list[str]]:
    rows = []
    for name, bounds in run.f1_bounds().items():
        values = dict((run.scores.get("per_class") or {}).get(name) or {})
        values |= {"f1_low": bounds[0], "f1_high": bounds[1]} if bounds else {}
        rows.append([text.clean(name), *_cells(values), number(values.get("support", 0))])
    return rows


def _cells(values: dict[str, Any]) -> list[str]:
    return [*(share(values, name) for name in ("f1", "recall", "precision")), number(values.get("auc"))]


def card(run: Run) -> str:
    """Markdown of report/model-card.md; CandidError for a dataset that the catalogue can't cite."""
    scores = run.scores
    headline = [["accuracy", share(scores, "accuracy")], ["macro F1", share(scores["macro"], "f1")]]
    others = (name for name in ("balanced_accuracy", "ece") if name in scores)
    headline += [[name.replace("_", " "), share(scores, name)] for name in others]
    counts = class_counts(run)[:-1] if "split" in run.counts else []
    sets = [[markdown(cell) for cell in row] for row in counts]
    return html.render(
        "card.md",
        run=run,
        **described(run),
        sets=markdown_table(("class", "train", "validation", "test"), sets) if sets else [],
        headline=markdown_table(("score", "value (95 % interval)"), headline),
        made=run.counts.get("provenance") or {},
    )


def described(run: Run) -> dict[str, Any]:
    """What both cards have: `entry` (of the catalogue), `front_matter`, and `classes`, a table of scores."""
    entry = read_catalogue().get(str(run.setting("data.dataset")))
    if entry is None:
        raise CandidError("params.yaml: data.dataset is not in the catalogue; expected one that can be cited")
    rows = [
        (markdown(name), number(values.get("support", 0)), *(share(values, key) for key in CLASS_SCORES))
        for name, values in (run.scores.get("per_class") or {}).items()
    ]
    classes = markdown_table(("class", "faces", "precision", "recall", "F1"), rows)
    return {"entry": entry, "front_matter": front_matter(run, entry), "classes": classes}


def front_matter(run: Run, entry: Dataset) -> str:
    """The YAML between the rules; intervals stand in the names, since the format has no field for them."""
    from huggingface_hub import EvalResult, ModelCardData

    name = str(run.setting("data.dataset"))
    task: Any = {"task_type": "image-classification", "task_name": "Facial-expression recognition"}
    dataset: Any = {"dataset_type": name, "dataset_name": entry.title, "dataset_split": "test"}
    dataset["dataset_config"] = f"{run.protocol}; {run.clean}"
    results = []
    for kind, title, section, key in SCORES:
        values = run.scores.get(section, {}) if section else run.scores
        low, high = values.get(f"{key}_low"), values.get(f"{key}_high")
        bounds = "" if low is None or high is None else f" (95 % interval {low:.4f} to {high:.4f})"
        if key in values:
            metric: Any = {"metric_type": kind, "metric_value": values[key], "metric_name": title + bounds}
            results.append(EvalResult(**task, **dataset, **metric))
    data = ModelCardData(
        model_name=f"Candid {run.title}",
        license=LICENCE,
        library_name="keras",
        pipeline_tag="image-classification",
        tags=["facial-expression-recognition", "keras", "dvc"],
        datasets=[name],
        metrics=[kind for kind, *_ in SCORES],
        eval_results=results,
    )
    return str(data.to_yaml())


def comment(baseline: str, here: Revision, link: str | None = None) -> str:
    """Markdown of the comment; what can't be read is said in its stead.

    The tables are those of `dvc metrics diff` and `dvc params diff`, with every name and value escaped: a
    pull request fills them. `link`: of the CI run.
    """
    commit = None
    try:
        commit = resolve(here.root, baseline)
        parts = [as_markdown(judge(commit, here))]
    except CandidError as error:
        parts = [cannot_compare(str(error))]
    for title, path in (("Metrics", METRICS), ("Settings", "params.yaml")):
        if rows := _rows(_values(commit, path), _values(here, path), changed=path == "params.yaml"):
            parts.append("\n".join([f"#### {title}", "", *rows, ""]))
    parts += [f"[The run and its report](<{markdown(link)}>)\n"] if link else []
    return "\n".join(parts)[:MAX_CHARACTERS]


def _values(revision: Revision | None, path: str) -> dict[str, Any]:
    """Dotted keys and values of a file; none where it can't be read, which the verdict says."""
    with suppress(CandidError):
        if revision:
            return dict(flat(revision.json(path) if path.endswith(".json") else revision.yaml(path)))
    return {}


def _rows(before: dict[str, Any], after: dict[str, Any], changed: bool) -> list[str]:
    keys = [key for key in {**after, **before} if not changed or before.get(key) != after.get(key)]
    width = 3 if changed else 4  # settings have no difference
    rows = []
    for key in keys[:MAX_ROWS]:
        old, new = before.get(key, "–"), after.get(key, "–")
        numbers = isinstance(old, int | float) and isinstance(new, int | float)
        shown = [f"{value:.4g}" if isinstance(value, float) else setting_text(value) for value in (old, new)]
        cells = (markdown(short(text, MAX_LENGTH)) for text in shown)
        rows.append([markdown(key[:MAX_LENGTH]), *cells, f"{new - old:+.4g}" if numbers else ""][:width])
    table = markdown_table(["", "baseline", "this change", "difference"][:width], rows)
    more = [f"\nand {len(keys) - MAX_ROWS} more"] if len(keys) > MAX_ROWS else []
    return [*table, *more] if keys and after else []
