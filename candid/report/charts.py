"""What of a run is drawn, and what each drawing says in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from candid.evaluation import scores
from candid.report.markup import Markup, figure, percent
from candid.report.runs import Run
from candid.report.svg import Chart, ticks

MOST_POINTS = 150
QUARTERS = (0, 0.25, 0.5, 0.75, 1)


def training_curves(run: Run) -> list[Markup]:
    """Accuracy and loss by epoch, on training and validation faces."""
    history = run.history
    if history is None:
        return []
    drawn = []
    for name in ("accuracy", "loss"):
        both = [column for column in (name, f"val_{name}") if column in history]
        values = history[both].to_numpy(np.float64) if both else np.empty((0, 0))
        if not np.isfinite(values).any():
            continue
        epochs = history["epoch"].to_numpy(np.float64)
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        pad = 0.05 * (high - low) or 0.05
        last = {column: history[column].iloc[-1] for column in both}
        told = ", ".join(f"{column} {value:.3f}" for column, value in last.items())
        chart = Chart(
            (epochs.min(), max(epochs.max(), epochs.min() + 1)),
            (max(low - pad, 0), high + pad),
            label=f"{name} over {len(history)} epochs; at the end {told}",
        )
        marks = ticks(*chart.y)
        texts = [percent(mark, 0) if name == "accuracy" else f"{mark:g}" for mark in marks]
        chart.y_axis(marks, texts)
        whole = [mark for mark in ticks(*chart.x, most=6) if mark == int(mark)]
        chart.x_axis(whole, [f"{mark:g}" for mark in whole], "epoch")
        kept = run.kept_epoch
        if kept is not None:
            chart.line([(kept, chart.y[0]), (kept, chart.y[1])], "rule")
        for column, kind in zip(both, ("c0 dashed", "c1"), strict=False):
            chart.line(list(zip(epochs, history[column], strict=True)), kind)
        legend = [("c0 dashed", "training"), ("c1", "validation")][: len(both)]
        legend += [("rule", f"kept: epoch {kept}")] if kept is not None else []
        drawn.append(figure(chart.svg(), name.capitalize() + " by epoch", legend))
    return drawn


def roc_curves(run: Run) -> Markup | None:
    """One class against the rest."""
    classes, truth = run.results.classes, run.results.actual
    curves = []
    for number, name in enumerate(classes):
        curve = scores.roc_curve(truth == number, run.results.probabilities[:, number])
        area = run.metrics.get("per_class", {}).get(name, {}).get("auc")
        if curve is not None:
            curves.append((number, name, area, curve))
    if not curves:
        return None
    told = ", ".join(f"{name} {area:.3f}" for _, name, area, _ in curves if area is not None)
    chart = Chart((0, 1), (0, 1), label=f"ROC curves, one class against the rest. Areas: {told}", height=300)
    chart.y_axis(QUARTERS, [percent(mark, 0) for mark in QUARTERS])
    chart.x_axis(QUARTERS, [percent(mark, 0) for mark in QUARTERS], "of the other classes, taken for it")
    chart.line([(0, 0), (1, 1)], "rule")
    legend = []
    for number, name, area, curve in curves:
        kind = f"c{number % 8}" + (" dashed" if number % 8 > 3 else "")
        points = np.column_stack([curve.false_positive_rate, curve.true_positive_rate])
        kept = np.unique(np.linspace(0, len(points) - 1, MOST_POINTS).round().astype(int))
        chart.line([(x, y) for x, y in points[kept]], kind)
        legend.append((kind, f"{name} {area:.3f}" if area is not None else name))
    return figure(
        chart.svg(), "ROC: share of a class that is found, against false alarms. Number: area.", legend
    )


def reliability(run: Run) -> Markup:
    """Accuracy by confidence, over how many faces have it."""
    sure = run.results.probabilities.max(axis=1)
    found = scores.calibration(run.results.predicted == run.results.actual, sure)
    error = run.metrics.get("ece", found.error)
    chart = Chart(
        (0, 1), (0, 1), height=300, label=f"Reliability: expected calibration error {percent(error)}"
    )
    chart.y_axis(QUARTERS, [percent(mark, 0) for mark in QUARTERS])
    chart.x_axis(QUARTERS, [percent(mark, 0) for mark in QUARTERS], "confidence")
    most = max(int(found.faces.max()), 1)
    for low, high, faces, right in zip(
        found.edges[:-1], found.edges[1:], found.faces, found.accuracy, strict=True
    ):
        if faces:
            told = f"{low:.0%} to {high:.0%} sure: {faces} faces, {right:.1%} of them right"
            chart.bar(float(low), float(high), 0, float(right), "c0", told)
            chart.bar(float(low), float(high), 0, 0.2 * faces / most, "count", told)
    chart.line([(0, 0), (1, 1)], "rule")
    return figure(
        chart.svg(),
        "Reliability: how often the model is right (blue) when it is so sure; on the dashed line it keeps "
        f"its word. Dark: how many faces. Calibration error {percent(error)}.",
    )


def f1_by_class(run: Run) -> Markup:
    """F1 of each class with its interval."""
    values, bounds = scores.f1(run.counts), run.f1_bounds
    rows = [number for number in range(len(values)) if np.isfinite(values[number])]
    told = ", ".join(f"{run.results.classes[number]} {values[number]:.1%}" for number in rows)
    height = 50 + 26 * len(rows)
    chart = Chart((0, 1), (0, len(rows)), label=f"F1 by class: {told}", left=78, height=height)
    places = [len(rows) - 0.5 - row for row in range(len(rows))]
    chart.y_axis(places, [run.results.classes[number][:11] for number in rows])
    chart.x_axis(QUARTERS, [percent(mark, 0) for mark in QUARTERS], "F1")
    for place, number in zip(places, rows, strict=True):
        chart.line([(float(end), place) for end in bounds[number]], "c0")
        low, high = bounds[number]
        name = run.results.classes[number]
        chart.dot(
            float(values[number]), place, "c0", f"{name}: {values[number]:.1%} ({low:.1%} to {high:.1%})"
        )
    return figure(chart.svg(), "F1 of each class, with its 95 % interval (groups resampled)")


def validation_overlay(runs: Sequence[Run]) -> Markup | None:
    """Validation accuracy of several runs in one chart."""
    with_history = [
        (place, run)
        for place, run in enumerate(runs)
        if run.history is not None and run.history.get("val_accuracy") is not None
    ]
    if not with_history:
        return None
    longest = max(float(run.history["epoch"].max()) for _, run in with_history if run.history is not None)
    values = np.concatenate(
        [run.history["val_accuracy"] for _, run in with_history if run.history is not None]
    )
    if not np.isfinite(values).any():
        return None
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    chart = Chart((0, longest), (low - 0.02, high + 0.02), label="Validation accuracy of all runs by epoch")
    marks = ticks(*chart.y)
    chart.y_axis(marks, [percent(mark, 0) for mark in marks])
    whole = [mark for mark in ticks(0, longest, most=6) if mark == int(mark)]
    chart.x_axis(whole, [f"{mark:g}" for mark in whole], "epoch")
    legend = []
    for place, run in with_history:
        kind = f"c{place % 8}" + (" dashed" if place % 8 > 3 else "")
        assert run.history is not None
        chart.line(list(zip(run.history["epoch"], run.history["val_accuracy"], strict=True)), kind)
        legend.append((kind, run.name))
    return figure(chart.svg(), "Validation accuracy by epoch", legend)
