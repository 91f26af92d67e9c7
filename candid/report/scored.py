"""The scores of a run: tables, charts, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from candid.evaluation import scores
from candid.report import charts, words
from candid.report.markup import Markup, interval, join, paragraph, percent, table
from candid.report.runs import Run

COLUMNS = ("F1 (95 %)", "recall", "precision", "AUC")


def results(run: Run) -> Iterator[Markup]:
    """Scores, ROC, reliability."""
    metrics = run.metrics
    yield paragraph(
        f"On {words.grouped(metrics)}. Intervals are 95 %, from resampling "
        f"{'groups' if metrics.get('groups', 0) < metrics.get('faces', 0) else 'faces'}."
    )
    averages = [(name, *_scores(metrics.get(name, {}))) for name in ("macro", "micro", "weighted")]
    yield table("Averages over the classes", ("average", *COLUMNS), averages)
    yield table(
        "Each class",
        ("class", *COLUMNS, "faces"),
        [
            (name, *_scores({**of, "f1_low": low, "f1_high": high}), f"{of.get('support', 0):,}")
            for name, of, (low, high) in _per_class(run)
        ],
    )
    yield paragraph(*_others(metrics))
    drawn = [charts.f1_by_class(run), charts.roc_curves(run), charts.reliability(run)]
    yield Markup(f'<div class="charts">{join(chart for chart in drawn if chart)}</div>')


def _scores(of: dict[str, Any]) -> tuple[str, str, str, str]:
    """Cells under COLUMNS."""
    return interval(of, "f1"), percent(of.get("recall")), percent(of.get("precision")), _number(of.get("auc"))


def _per_class(run: Run) -> Iterator[tuple[str, dict[str, Any], tuple[float | None, float | None]]]:
    for name, (low, high) in zip(run.results.classes, run.f1_bounds.tolist(), strict=True):
        known = low == low  # NaN where there is no interval
        yield name, run.metrics.get("per_class", {}).get(name, {}), (low, high) if known else (None, None)


def _others(metrics: dict[str, Any]) -> Iterator[str]:
    yield f"Accuracy {interval(metrics, 'accuracy')}, "
    yield f"balanced accuracy {percent(metrics.get('balanced_accuracy'))}, "
    yield f"log loss {_number(metrics.get('log_loss'))}."
    for name, told in (
        ("clean", "faces without a relative in train"),
        ("without_copies", "faces without a copy there"),
    ):
        part = metrics.get(name) or {}
        if metrics["leaky"] and "accuracy" in part:
            yield f" On the {part['faces']:,} {told}: accuracy {interval(part, 'accuracy')}, "
            yield f"macro F1 {interval(part.get('macro', {}), 'f1')}."


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def confusion(run: Run) -> Iterator[Markup]:
    """The confusion matrix as a table: share of the row, and faces."""
    counts, classes = run.counts, run.results.classes
    support = scores.support(counts)
    rows = []
    for number, name in enumerate(classes):
        shares = counts[number] / max(int(support[number]), 1)
        rows.append(
            (
                name,
                *(
                    _cell(float(share), int(faces), number == place)
                    for place, (share, faces) in enumerate(zip(shares, counts[number], strict=True))
                ),
            )
        )
    yield paragraph(
        "Rows: what the face is labelled. Columns: what the model says. Per cent of the row, and faces."
    )
    yield table("Confusion matrix", ("labelled", *classes), rows, kind="confusion")
    worst = _worst_confusions(run)
    if worst:
        yield paragraph("Most often: ", "; ".join(worst), ".")


def _cell(share: float, faces: int, right: bool) -> Markup:
    kind = "right" if right else "wrong"
    return Markup(
        f'<span class="cell {kind}" style="--share:{share:.3f}">'
        f"<b>{100 * share:.0f}</b><small>{faces:,}</small></span>"
    )


def _worst_confusions(run: Run) -> list[str]:
    off = run.counts * (1 - np.eye(len(run.counts), dtype=np.int64))
    order = np.argsort(-off, axis=None, kind="stable")[:3]
    pairs = [divmod(int(place), len(off)) for place in order]
    names = run.results.classes
    return [f"{names[a]} taken for {names[p]} ({off[a, p]:,} faces)" for a, p in pairs if off[a, p]]
