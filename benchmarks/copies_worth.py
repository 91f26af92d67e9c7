"""What copies in the training set are worth on FER2013's PrivateTest.

    python -m benchmarks.copies_worth A=a.csv B=b.csv C=c.csv --votes fer2013plus.csv.gz
    python -m benchmarks.copies_worth     # table and figure again, from what was recorded

Each table is plots/predictions.csv of one arm: A with the copies in Training, the others without. Seeds of an
arm are joined by commas, and a face then counts by its share of right predictions. Arm A's column `copied`
says which faces have a near-duplicate in Training. Intervals are 95 % bootstrap intervals over groups of
near-duplicates; each arm's difference from A is paired, over the same faces. With `--votes` also how many of
FER2013's labels the ten raters of FER+ share, and the accuracy by their agreement.

Writes benchmarks/copies_worth.json and docs/images/copies_worth.png. Figures: docs/results.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from candid import text
from candid.cli import Parser
from candid.data.fer2013 import VOTES, read_votes
from candid.data.labels import label_key
from candid.evaluation.bootstrap import percentiles, resample
from candid.evaluation.picture import COLORS, picture, title
from candid.evaluation.predictions import read_predictions
from candid.evaluation.scores import Floats
from candid.files import read_json, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RECORDED = Path(__file__).with_suffix(".json")
FIGURE = Path("docs/images/copies_worth.png")
RESAMPLES, SEED = 10_000, 0
SETS = {"all": "all faces", "copied": "with a copy in Training", "unique": "without one"}


def right_share(paths: str) -> tuple[pd.DataFrame, Floats]:
    """Return the table of the first seed and, for each face, the share of seeds that are right."""
    tables = [read_predictions(path).sort_values("digest", kind="stable") for path in paths.split(",")]
    right = [(table["actual"] == table["predicted"]).to_numpy(np.float64) for table in tables]
    if any(list(table["digest"]) != list(tables[0]["digest"]) for table in tables):
        raise SystemExit(f"{paths}: expected predictions for the same faces")
    return tables[0], np.mean(right, axis=0)


def measure(arms: dict[str, str]) -> dict[str, Any]:
    """Score each arm on each set of faces, with its paired difference from the first arm."""
    tables = {arm: right_share(paths) for arm, paths in arms.items()}
    first, table = next(iter(tables)), next(iter(tables.values()))[0]
    copied, groups = table["copied"].to_numpy(bool), table["group"].to_numpy(np.int64)
    masks = {"all": np.ones(len(table), bool), "copied": copied, "unique": ~copied}
    seeds = {arm: len(paths.split(",")) for arm, paths in arms.items()}
    wins = {arm: np.rint(right * seeds[arm]).astype(np.int64) for arm, (_, right) in tables.items()}
    counts = pd.DataFrame({"faces": np.ones(len(table), np.int64), **wins})
    results: dict[str, Any] = {"faces": {name: int(mask.sum()) for name, mask in masks.items()}, "arms": {}}
    for name, mask in masks.items():
        count = counts[mask].groupby(groups[mask]).sum().to_numpy()
        drawn = resample(count, RESAMPLES, SEED).astype(np.float64)
        scores = {arm: drawn[:, k + 1] / drawn[:, 0] / seeds[arm] for k, arm in enumerate(tables)}
        for arm, (_, right) in tables.items():
            entry: dict[str, Any] = {"accuracy": float(right[mask].mean())}
            entry["low"], entry["high"] = percentiles(scores[arm], len(count))
            if arm != first:
                entry["difference"] = float(right[mask].mean() - tables[first][1][mask].mean())
                bounds = percentiles(scores[arm] - scores[first], len(count))
                entry["difference_low"], entry["difference_high"] = bounds
            results["arms"].setdefault(arm, {"seeds": seeds[arm]})[name] = entry
    return results


def agreement(arms: dict[str, str], path: Path) -> dict[str, Any]:
    """Compare FER2013's labels with the raters' votes, and score each arm by how many raters agree."""
    votes = {Path(file).stem: row for file, row in read_votes(path).items()}
    table, _ = right_share(next(iter(arms.values())))
    names = [label_key(vote) for vote in VOTES]
    rows = np.array([votes.get(Path(source).stem, (0,) * len(VOTES)) for source in table["source"]])
    own = rows[np.arange(len(rows)), [names.index(label) for label in table["actual"]]]
    most, total = rows.max(axis=1), rows.sum(axis=1)
    voted = total > 0
    ends = {"at most 5 of 10": (0, 5), "6 or 7": (6, 7), "8 or 9": (8, 9), "10 of 10": (10, 10)}
    bands = {band: voted & (most >= low) & (most <= high) for band, (low, high) in ends.items()}
    return {
        "rated": int(voted.sum()),
        "first_choice": float((own[voted] == most[voted]).mean()),
        "random_rater": float((own[voted] / total[voted]).mean()),
        "by_agreement": {
            band: {
                "faces": int(mask.sum()),
                "label_is_first_choice": float((own == most)[mask].mean()),
                **{arm: float(right_share(paths)[1][mask].mean()) for arm, paths in arms.items()},
            }
            for band, mask in bands.items()
            if mask.any()
        },
    }


def say(results: dict[str, Any]) -> None:
    """Print the tables."""
    rows = []
    for arm, entry in results["arms"].items():
        sets = [entry[name] for name in SETS]
        shares = [text.percent(own["accuracy"]) + text.interval(own["low"], own["high"]) for own in sets]
        rows.append((f"{arm}, {entry['seeds']} seed{'s' * (entry['seeds'] > 1)}", *shares))
        if "difference" in sets[0]:
            keys = ("difference", "difference_low", "difference_high")
            changes = ("{} ({} to {})".format(*(text.points(own[key]) for key in keys)) for own in sets)
            rows.append(("  less the first, points", *changes))
    heads = [f"{shown} ({results['faces'][name]:,})" for name, shown in SETS.items()]
    print(*text.table(("accuracy (95 %)", *heads), rows), sep="\n")
    if "votes" in results:
        votes = results["votes"]
        print(
            f"of {votes['rated']:,} rated faces the label is the raters' first choice for "
            f"{votes['first_choice']:.1%}; a random rater gives it in {votes['random_rater']:.1%}"
        )
        print(pd.DataFrame(votes["by_agreement"]).T.round(3).to_string())


def draw(results: dict[str, Any], figure: Figure) -> None:
    """Draw the accuracy of each arm on faces that have a copy in Training and on the others."""
    axes, arms, width = figure.subplots(), results["arms"], 0.8 / len(results["arms"])
    for number, (arm, entry) in enumerate(arms.items()):
        at = np.arange(len(SETS)) + (number - (len(arms) - 1) / 2) * width
        values = np.array([[entry[s][key] for key in ("accuracy", "low", "high")] for s in SETS]) * 100
        error = [values[:, 0] - values[:, 1], values[:, 2] - values[:, 0]]
        axes.bar(at, values[:, 0], width * 0.92, color=COLORS[number], label=arm)
        axes.errorbar(at, values[:, 0], error, fmt="none", ecolor="#22262b", capsize=3)
        for x, (value, low, _) in zip(at, values, strict=True):
            axes.text(x, low - 1, f"{value:.1f}", ha="center", va="top", color="white", fontsize=9)
    labels = [f"{text}\n({results['faces'][s]:,})" for s, text in SETS.items()]
    axes.set_xticks(range(len(SETS)), labels)
    axes.set_ylabel("accuracy on PrivateTest, %")
    axes.set_ylim(0, 100)
    axes.grid(visible=False, axis="x")
    axes.legend(loc="upper right")
    title(figure, results["headline"], results["note"])


def main() -> None:
    """Measure what is named, or read what was recorded; print and draw."""
    parser = Parser(prog="python -m benchmarks.copies_worth", description=__doc__)
    parser.add_argument("arms", nargs="*", metavar="NAME=PREDICTIONS", help="the arm with copies first")
    parser.add_argument("--votes", type=Path, help="FER+'s table of votes by file name")
    parser.add_argument("--note", default="", help="what the figure says of the training")
    arguments = parser.parse_args()
    if arguments.arms:
        arms = dict(arm.split("=", 1) for arm in arguments.arms)
        results = {"headline": "What copies in the training set are worth", "note": arguments.note}
        results |= measure(arms)
        if arguments.votes:
            results["votes"] = agreement(arms, arguments.votes)
        write_json(RECORDED, results)
    results = read_json(RECORDED)
    say(results)
    with picture(FIGURE, (8.4, 4.4)) as figure:
        draw(results, figure)


if __name__ == "__main__":
    main()
