"""plots/*.png and the tables that DVC overlays. Equal inputs give equal bytes; classes are in one order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn import metrics

from candid.data.faces import PARTS, class_order
from candid.errors import CandidError
from candid.evaluation import scores
from candid.evaluation.picture import COLORS, INK, MUTED, no_frame, picture, short, title
from candid.evaluation.predictions import PREFIX, Images, Predictions, as_predictions
from candid.evaluation.scores import Integers
from candid.files import read_csv, write_csv
from candid.text import interval, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)))
MAX_CLASSES_WITH_TEXT = 20  # beyond, cells are too small to read
MISTAKES_COLUMNS, MISTAKES_ROWS = 8, 5
HISTORY_COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")


def write_plots(
    table: pd.DataFrame,
    report: dict[str, Any],
    images: Images,
    history: pd.DataFrame,
    best_epoch: int | None,
    splits: pd.DataFrame,
    folder: str | Path = "plots",
) -> None:
    """Draw the pictures and write roc.csv and calibration.csv into `folder`.

    `table` is plots/predictions.csv, `report` what `evaluate` gives for it, `images` all faces, of which
    the table's `id` are rows. `best_epoch` of `history` (plots/history.csv) is that whose weights the model
    has; None: unknown. `splits` is data/splits.csv.
    """
    predictions, folder = as_predictions(table), Path(folder)
    write_test_plots(table, report, images, folder)
    curves_picture(folder / "curves.png", history, best_epoch)
    classes_picture(folder / "classes.png", splits)
    write_csv(folder / "roc.csv", roc_table(predictions))
    write_csv(folder / "calibration.csv", calibration_table(predictions))


def write_test_plots(table: pd.DataFrame, report: dict[str, Any], images: Images, folder: Path) -> None:
    """Draw what the predictions alone give: confusion, ROC, reliability and mistakes."""
    predictions = as_predictions(table)
    wrong = worst(predictions)
    faces = images[table["id"].to_numpy()[wrong[: MISTAKES_COLUMNS * MISTAKES_ROWS]]]
    classes = predictions.classes
    counts = scores.confusion_matrix(predictions.actual, predictions.predicted, len(classes))
    confusion_picture(folder / "confusion.png", classes, counts, report)
    confusion_picture(folder / "confusion_precision.png", classes, counts, report, by_predicted=True)
    roc_picture(folder / "roc.png", predictions, report)
    reliability_picture(folder / "reliability.png", predictions, report)
    mistakes_picture(folder / "mistakes.png", predictions, faces, wrong)


def accuracy_text(scored: dict[str, Any]) -> str:
    """Write an accuracy with its 95 % interval, which is left out where it is unknown."""
    accuracy: float = scored["accuracy"]
    return percent(accuracy) + interval(scored.get("accuracy_low"), scored.get("accuracy_high"))


def leak_warning(report: dict[str, Any]) -> str:
    """Lines that say so where the split is leaky, else empty."""
    if not report["leaky"]:
        return ""
    line = f"Leaky split: {report['leaked_test_faces']:,} of these faces have a related image in training"
    others = report["clean"]
    if others["faces"]:
        line += f"\nOn the other {others['faces']:,} the accuracy is {accuracy_text(others)}"
    return line


def confusion_picture(
    path: Path, classes: Sequence[str], counts: Integers, report: dict[str, Any], by_predicted: bool = False
) -> None:
    """Draw a confusion matrix: shares of the rows (recall), or of the columns (precision), with counts."""
    totals = counts.sum(axis=0 if by_predicted else 1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    side = min(max(5.2, 0.82 * len(classes) + 1.0), 18.0)
    groups = report["groups"]
    among = f" over {groups:,} independent group{'s' * (groups != 1)} of faces"
    among *= groups != report["faces"]
    cells = "column's faces (precision)" if by_predicted else "row's faces (recall)"
    lines = (f"95 % bootstrap interval{among}", f"Cells: share of the {cells}, with the count")
    with picture(path, (side + 1.2, side + 1.0)) as figure:
        headline = f"Accuracy {accuracy_text(report)} on {report['faces']:,} test faces"
        title(figure, headline, *lines, warning=leak_warning(report))
        axes = figure.add_subplot()
        names = [short(name) for name in classes]
        numbers = [f"{name}\nn = {total:,}" for name, total in zip(names, totals.flat, strict=True)]
        with_text = len(classes) <= MAX_CLASSES_WITH_TEXT
        display = metrics.ConfusionMatrixDisplay(shares, display_labels=names)
        style: dict[str, Any] = {"cmap": "Blues", "im_kw": {"vmin": 0, "vmax": 1}}
        display.plot(ax=axes, colorbar=False, include_values=with_text, **style)
        no_frame(axes)
        columns, rows = (numbers, names) if by_predicted else (names, numbers)
        axes.set_xticks(range(len(names)), columns, rotation=35, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), rows)
        axes.set(xlabel="predicted", ylabel="actual")
        for edge in np.arange(len(classes) + 1) - 0.5:  # white rules between the cells
            axes.axhline(edge, color="white", linewidth=1.5)
            axes.axvline(edge, color="white", linewidth=1.5)
        for (row, column), text in np.ndenumerate(display.text_ if with_text else np.empty((0, 0), object)):
            count, share = counts[row, column], shares[row, column]
            shown = (f"{100 * share:.0f} %" if share >= 0.005 else "<1 %") if count else ""
            weight, ink = "bold" if row == column else "normal", "white" if share > 0.6 else INK
            text.set(text=shown, y=row - 0.1, color=ink, fontsize=11, fontweight=weight)
            if count:
                below: dict[str, Any] = {"color": ink, "ha": "center", "va": "center", "fontsize": 8.5}
                axes.text(column, row + 0.24, f"{count:,}", **below)


def roc_curves(predictions: Predictions) -> dict[str, tuple[Any, Any]]:
    """Return false and true positive rates by `p_<class>`, one class against the rest, where it has both.

    `micro` takes all N x K decisions as one curve; `macro` is the mean of the classes' curves.
    """
    truth, probabilities = predictions.truth, predictions.probabilities
    curves = {
        f"{PREFIX}{name}": metrics.roc_curve(truth[:, number], probabilities[:, number])[:2]
        for number, name in enumerate(predictions.classes)
        if 0 < truth[:, number].sum() < len(truth)
    }
    if curves:
        rates = np.linspace(0, 1, 1001)
        macro = np.mean([np.interp(rates, *curve) for curve in curves.values()], axis=0)
        curves["macro"] = (np.r_[0, rates], np.r_[0, macro])
    if len(predictions.classes) > 1:
        curves["micro"] = metrics.roc_curve(truth.ravel(), probabilities.ravel())[:2]
    return curves


def roc_table(predictions: Predictions) -> pd.DataFrame:
    """Return the curves as columns over false positive rates in steps of 0.01: what DVC overlays."""
    rates = np.linspace(0, 1, 101)
    columns = {name: np.interp(rates, *curve).round(6) for name, curve in roc_curves(predictions).items()}
    return pd.DataFrame({"false_positive_rate": rates.round(2), **columns})


def roc_picture(path: Path, predictions: Predictions, report: dict[str, Any]) -> None:
    """Draw a curve a class, their mean, and the curve of all decisions, with the areas under them."""
    curves = roc_curves(predictions)
    areas = {f"{PREFIX}{name}": values.get("auc") for name, values in report["per_class"].items()}
    areas |= {name: report[name].get("auc") for name in ("macro", "micro")}
    styles = cycle({"color": color, "linestyle": dash, "linewidth": 1.6, "alpha": 1}
                   for dash, color in product(DASHES, COLORS))  # fmt: skip
    average: dict[str, Any] = {"color": INK, "linewidth": 2.2, "alpha": 1}
    averages = {"macro": {**average, "linestyle": "-"}, "micro": {**average, "linestyle": (0, (2, 2))}}
    lines = [averages.get(name, style) for name, style in zip(curves, styles, strict=False)]
    with picture(path, (6.6, 6.9)) as figure:
        macro = areas["macro"]
        value = "no AUC: the test set has one class only" if macro is None else f"macro AUC {macro:.3f}"
        line = f"One class against the rest, on {report['faces']:,} test faces"
        title(figure, f"ROC: {value}", line, warning=leak_warning(report))
        axes = figure.add_subplot()
        if curves:
            rates, hits = zip(*curves.values(), strict=True)
            labels = [f"{short(name.removeprefix(PREFIX))}  {areas[name]:.3f}" for name in curves]
            display = metrics.RocCurveDisplay(fpr=list(rates), tpr=list(hits), name=labels)
            chance = {"color": MUTED, "linewidth": 1, "linestyle": (0, (1, 3)), "label": None}
            display.plot(ax=axes, curve_kwargs=lines, plot_chance_level=True, chance_level_kw=chance)
            columns = 1 + len(curves) // 14
            axes.legend(title="area under the curve", loc="lower right", fontsize=9, ncols=columns)
        axes.set(xlabel="false positive rate", ylabel="true positive rate")


def calibration_table(predictions: Predictions) -> pd.DataFrame:
    """Return mean confidence, accuracy and faces of each bin of confidence that has faces."""
    bins = scores.calibration(predictions.predicted == predictions.actual, predictions.confidence)
    columns = {"confidence": bins.confidence, "accuracy": bins.accuracy, "faces": bins.faces}
    return pd.DataFrame(columns).round(6)[bins.faces > 0]


def reliability_picture(path: Path, predictions: Predictions, report: dict[str, Any]) -> None:
    """Draw accuracy by confidence above the histogram of confidence.

    Bars, not the line of scikit-learn's CalibrationDisplay, which a bin of a single face bends as far as one
    of thousands.
    """
    bins = scores.calibration(predictions.predicted == predictions.actual, predictions.confidence)
    confidence, accuracy = float(predictions.confidence.mean()), report["accuracy"]
    # said only where the interval of the accuracy excludes the mean confidence
    leaning = ": overconfident" * (confidence > report.get("accuracy_high", 1))
    leaning += ": underconfident" * (confidence < report.get("accuracy_low", 0))
    with picture(path, (6.4, 7.4)) as figure:
        means = f"mean confidence {percent(confidence)}, right in {percent(accuracy)}"
        headline = f"Calibration error {percent(report['ece'])}{leaning}"
        title(figure, headline, f"{report['faces']:,} test faces: {means}", warning=leak_warning(report))
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        full = bins.faces > 0
        left, claimed, hit = bins.edges[:-1][full], bins.confidence[full], bins.accuracy[full]
        upper.plot([0, 1], [0, 1], color=MUTED, linestyle=(0, (4, 2)), label="perfectly calibrated")
        style: dict[str, Any] = {"width": 1 / len(bins.faces), "align": "edge"}
        upper.bar(left, hit, color=COLORS[0], edgecolor="white", label="share that is right", **style)
        style |= {"facecolor": "none", "edgecolor": COLORS[1], "hatch": "////", "linewidth": 0}
        upper.bar(left, claimed - hit, bottom=hit, label="gap to the confidence", **style)
        upper.legend(loc="upper left")
        upper.set(ylim=(0, 1), ylabel="accuracy")
        widths = np.diff(bins.edges)
        lower.bar(bins.edges[:-1], bins.faces, widths, align="edge", color="#b8c4d0", edgecolor="white")
        lower.axvline(confidence, color=COLORS[1], linewidth=1.8, label="mean confidence")
        lower.axvline(accuracy, color=INK, linewidth=1.8, linestyle=(0, (3, 1.5)), label="accuracy")
        lower.set(xlim=(0, 1), xlabel="confidence: probability of the predicted class", ylabel="faces")
        lower.legend(loc="upper left", fontsize=9)


def read_history(path: str | Path) -> pd.DataFrame:
    """Read plots/history.csv: one row an epoch, HISTORY_COLUMNS and whatever else train measured, as numbers.

    A score that is no number (an epoch without validation, a loss that diverged) leaves a gap.
    """
    table = read_csv(path, HISTORY_COLUMNS, {"epoch": np.int64})
    if table.empty:
        raise CandidError(f"{path}: no epoch; expected at least one row")
    for name in table.columns[1:]:
        table[name] = pd.to_numeric(table[name].replace("", "nan"), errors="coerce")
    return table


def curves_picture(path: Path, history: pd.DataFrame, best_epoch: int | None) -> None:
    """Draw accuracy, macro F1, loss and learning rate by epoch; the model has the weights of `best_epoch`."""
    best = history[history["epoch"] == best_epoch]
    with picture(path, (9.6, 5.2)) as figure:
        lines = [] if best.empty else [f"best: epoch {best_epoch}"]
        if best["val_accuracy"].notna().any():
            lines[0] += f", validation accuracy {percent(best['val_accuracy'].iloc[0])}"
        title(figure, f"Training: {len(history)} epoch{'s' * (len(history) != 1)}", *lines)
        rates = "learning_rate" in history
        grid = figure.add_gridspec(2 if rates else 1, 2, height_ratios=(4, 1) if rates else (1,))
        _curves(figure.add_subplot(grid[0, 0]), history, "accuracy", best)
        _curves(figure.add_subplot(grid[0, 1]), history, "loss", best)
        if rates:
            axes = figure.add_subplot(grid[1, :])
            axes.step(history["epoch"], history["learning_rate"], where="mid", color=COLORS[2], linewidth=1.6)
            if (history["learning_rate"] > 0).any():
                axes.set_yscale("log")
                axes.yaxis.set_major_formatter("{x:g}")
                axes.yaxis.set_minor_formatter("")
            axes.set_title("learning rate", loc="left", color=MUTED, fontsize=10)
            axes.locator_params(axis="x", integer=True)


def _curves(axes: Axes, history: pd.DataFrame, name: str, best: pd.DataFrame) -> None:
    style: dict[str, Any] = {"marker": "o" if len(history) < 3 else "", "linewidth": 1.8}
    axes.plot(history["epoch"], history[name], color=COLORS[0], label="training", **style)
    axes.plot(history["epoch"], history[f"val_{name}"], color=COLORS[1], label="validation", **style)
    if name == "accuracy" and "val_macro_f1" in history:
        style |= {"color": COLORS[1], "linestyle": (0, (3, 2)), "linewidth": 1.2}
        axes.plot(history["epoch"], history["val_macro_f1"], label="validation, macro F1", **style)
    if not best.empty:
        axes.axvline(best["epoch"].iloc[0], color=INK, linewidth=1, linestyle=(0, (3, 2)))
        dot: dict[str, Any] = {"color": COLORS[1], "markeredgecolor": INK, "markersize": 7}
        axes.plot(best["epoch"], best[f"val_{name}"], "o", label="best", **dot)
    axes.set_title(name, loc="left", color=MUTED, fontsize=10)
    axes.locator_params(axis="x", integer=True)
    axes.set_xlabel("epoch")
    axes.legend(loc="best")


def classes_picture(path: Path, splits: pd.DataFrame) -> None:
    """Draw the share of each class in the training, validation and test set, with the faces."""
    classes = class_order(splits["label"])
    faces = pd.crosstab(splits["label"], splits["part"]).reindex(classes, columns=list(PARTS), fill_value=0)
    shares = (100 * faces / faces.sum().clip(lower=1)).to_numpy()
    below = np.arange(len(classes)) * (len(PARTS) + 1)
    with picture(path, (7.4, 1.6 + 0.62 * len(classes))) as figure:
        headline = f"{len(splits):,} faces by class and set"
        title(figure, headline, "Bars: share of the set's faces, with the count")
        axes = figure.add_subplot()
        for number, part in enumerate(PARTS):
            label = f"{part}  {faces[part].sum():,}"
            bars = axes.barh(below + number, shares[:, number], height=0.9, color=COLORS[number], label=label)
            counts = [f"{count:,}" for count in faces[part]]
            axes.bar_label(bars, counts, padding=3, fontsize=8.5, color=MUTED)
        axes.set_yticks(below + 1, [short(name) for name in classes])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.08)
        axes.set_xlabel("% of the set")
        axes.legend(loc="best")


def worst(predictions: Predictions) -> Integers:
    """Return positions of the wrong predictions, the most confident first, equal ones in their order."""
    wrong = np.flatnonzero(predictions.predicted != predictions.actual)
    return wrong[np.argsort(-predictions.confidence[wrong], kind="stable")]


def mistakes_picture(path: Path, predictions: Predictions, faces: Images, wrong: Integers) -> None:
    """Draw `faces`, those at the first of `wrong`: positions of all mistakes, the most confident first."""
    rows = max(1, -(-len(faces) // MISTAKES_COLUMNS))
    with picture(path, (10.4, 1.62 * rows + 0.9), colors=None) as figure:
        share = percent(len(wrong) / len(predictions.actual))
        most = f"The {len(faces)} most confident of {len(wrong):,} mistakes" if len(wrong) else "No mistakes"
        line = f"{share} of {len(predictions.actual):,} test faces; above: predicted, below: the label"
        title(figure, most, line)
        sheet = figure.subplots(rows, MISTAKES_COLUMNS).flat
        for axes, face, position in zip(sheet, faces, wrong, strict=False):
            predicted = short(predictions.classes[predictions.predicted[position]], 10)
            label = short(predictions.classes[predictions.actual[position]], 12)
            axes.imshow(face, cmap="gray", vmin=0, vmax=255)
            above = f"{predicted} {predictions.confidence[position]:.0%}"
            axes.set_title(above, fontsize=8.5, color=INK, pad=3)
            axes.set_xlabel(label, fontsize=8.5, labelpad=2)
            axes.set(xticks=[], yticks=[])
        for axes in figure.axes:
            no_frame(axes)
        for axes in figure.axes[len(faces) :]:
            axes.set_axis_off()
