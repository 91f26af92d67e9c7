"""Write the report of the present run, and of experiments if named: candid report [EXPERIMENT...]

With --card it writes the model card instead, with --comment what CI says on a pull request.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from candid import html, text
from candid.cli import Parser
from candid.errors import CandidError
from candid.evaluation import scores
from candid.files import write_text
from candid.gate.command import HEADLINE, below, row
from candid.gate.results import PREDICTIONS, Revision, git, pair, resolve
from candid.gate.statistics import compare_pairs
from candid.gate.verdict import judge
from candid.report.card import card
from candid.report.comment import comment
from candid.report.run import Run, different_settings, number, read_run, share


def main(arguments: list[str] | None = None) -> None:
    """Read, write one file, print its path."""
    parser = Parser(
        prog="candid report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help="or branch, tag, commit")
    parser.add_argument("--baseline", metavar="REV", help="compared with; default: the results before these")
    parser.add_argument("--no-faces", action="store_true", help="leave the sheet of mistakes out")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--card", action="store_true", help="write the model card")
    kind.add_argument("--comment", action="store_true", help="write CI's comment; needs --baseline")
    parser.add_argument("--link", metavar="URL", help="of the CI run, for the comment")
    parser.add_argument(
        "--out", type=Path, help="default: report/index.html, docs/model-card.md, report/comment.md"
    )
    options = parser.parse_args(arguments)
    here = Revision(Path())
    if options.experiments and (options.card or options.comment):
        raise CandidError("--card and --comment describe the present run alone; expected no experiment")
    if options.comment and options.baseline is None:
        raise CandidError("--comment compares with a revision; expected --baseline REV")
    if options.card:
        path, content = Path("docs/model-card.md"), card(read_run(here))
    elif options.comment:
        path, content = Path("report/comment.md"), comment(options.baseline, here, options.link)
    else:
        runs = [read_run(here), *(read_run(resolve(here.root, name)) for name in options.experiments)]
        path, content = Path("report/index.html"), page(runs, here, options.baseline, not options.no_faces)
    write_text(options.out or path, content)
    print(options.out or path)


def page(runs: Sequence[Run], here: Revision, baseline: str | None, show_faces: bool = True) -> str:
    """HTML of a run, and of others beside it.

    Args:
        runs: the present run first; at least one.
        here: the working tree.
        baseline: revision that the present run is compared with; None for the results before it.
        show_faces: include the sheet of mistakes.
    """
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
        bounds=_bounds,
        decimal=_decimal,
        data_uri=html.data_uri,
        grouped_settings=_grouped_settings,
        class_counts=class_counts,
        averages=_averages,
        per_class=_per_class,
        provenance=_provenance,
    )


def previous(root: Path) -> str | None:
    """The revision before the present results: HEAD while they are not committed, else the one before."""
    try:
        commits = git(root, "log", "-2", "--format=%H", "--", PREDICTIONS).decode().split()
        if commits and git(root, "status", "--porcelain", "--", PREDICTIONS):
            return "HEAD"
    except CandidError:
        return None
    return commits[1] if len(commits) == 2 else None


def _trivial(run: Run) -> str:
    """What needs no model."""
    results = run.results
    support = scores.support(scores.confusion_matrix(results.actual, results.predicted, len(results.classes)))
    most = int(support.argmax())
    return (
        f"Without seeing a face: always answering {results.classes[most]} is right on "
        f"{text.percent(support[most] / support.sum())}, guessing evenly on {text.percent(1 / len(support))}."
    )


def _side_by_side(first: Run, run: Run) -> tuple[str, ...]:
    """A run with its protocol, paired with the first on the same faces; why not where that can't be."""
    small = Markup("{}<small>{}</small>")
    about = "; ".join((run.net, run.dataset, run.protocol, run.clean))
    change: str = "–"
    if run is not first:
        try:
            comparison = compare_pairs(pair(first.results, run.results)[0], resamples=1000)
            drop = text.points(comparison.headline[0].change)
            change = small.format(f"{drop} points", f"McNemar: p = {comparison.mcnemar.p_value:.2g}")
        except CandidError as error:
            change = text.clean(str(error).partition(";")[0].partition(":")[0])
    faces = number(run.scores.get("faces"))
    both = (_small_interval(run.scores, "accuracy"), _small_interval(run.scores["macro"], "f1"))
    return small.format(text.clean(run.name), text.clean(about)), *both, faces, change


def _small_interval(values: dict[str, Any], name: str) -> Markup:
    value, _, bounds = share(values, name).partition(" (")
    return Markup("{}<small>{}</small>").format(value, bounds.rstrip(")"))


def _bounds(values: dict[str, Any], name: str) -> str:
    bounds = share(values, name).partition(" (")[2].rstrip(")")
    return f"95 %: {bounds}" if bounds else "no interval"


def _decimal(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else "–"


def _grouped_settings(run: Run) -> list[tuple[str, list[tuple[str, str]]]]:
    groups: dict[str, list[tuple[str, str]]] = {}
    for key, value in run.settings().items():
        section, _, rest = key.partition(".")
        groups.setdefault(section, []).append((rest, value))
    return list(groups.items())


def class_counts(run: Run) -> list[tuple[str, ...]]:
    """Faces of each class in the training, validation and test set, and of all."""
    sets = [run.counts["split"].get(name) or {} for name in ("train", "validation", "test")]
    rows = [
        (name, *(number(((one.get("per_class") or {}).get(name) or {}).get("faces", 0)) for one in sets))
        for name in map(str, run.results.classes)
    ]
    return [
        *((text.clean(name), *cells) for name, *cells in rows),
        ("all", *(number(one.get("faces")) for one in sets)),
    ]


def _averages(run: Run) -> list[tuple[str, ...]]:
    return [(name, *_scores(run.scores.get(name) or {})) for name in ("macro", "micro", "weighted")]


def _per_class(run: Run) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, bounds in run.f1_bounds().items():
        values = dict((run.scores.get("per_class") or {}).get(name) or {})
        values |= {"f1_low": bounds[0], "f1_high": bounds[1]} if bounds else {}
        rows.append((text.clean(name), *_scores(values), number(values.get("support", 0))))
    return rows


def _scores(values: dict[str, Any]) -> tuple[str, str, str, str]:
    recall, precision = share(values, "recall"), share(values, "precision")
    return share(values, "f1"), recall, precision, _decimal(values.get("auc"))


def _provenance(run: Run) -> list[tuple[str, str]]:
    made = run.counts["provenance"]
    device = made.get("device") or {}
    machine = (
        str(device.get("processor", "")),
        f"{device.get('cores', '?')} cores",
        str(device.get("system", "")),
    )
    rows = [
        ("revision", made.get("revision", "not in git")),
        (
            "versions",
            ", ".join(f"{name} {version}" for name, version in (made.get("versions") or {}).items()),
        ),
        ("machine", ", ".join(filter(None, machine))),
        ("devices", ", ".join(map(str, device.get("devices") or [])) or "none"),
        *((f"md5 of {path}", md5) for path, md5 in (made.get("md5") or {}).items()),
    ]
    return [(text.clean(str(name)), text.clean(str(value))) for name, value in rows]
