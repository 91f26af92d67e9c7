"""The model card: YAML front matter with a model-index, as model hubs read it, and a page for people."""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML

from candid.data.catalogue import Dataset, read_catalogue
from candid.errors import CandidError
from candid.gate.tell import table
from candid.report import words
from candid.report.markup import interval, percent
from candid.report.runs import Run

LICENCE = "apache-2.0"


def card(run: Run) -> str:
    """Markdown of docs/model-card.md."""
    entry = find_dataset(run)
    parts = (
        f"---\n{front_matter(run, entry)}---\n",
        f"# {title(run)}\n\nMade by `candid report --card`; do not edit.\n",
        "## Model\n\n" + _model(run),
        "## Use\n\n" + USE,
        "## Data\n\n" + _data(run, entry),
        "## Evaluation\n\n" + _evaluation(run),
        "## Training\n\n" + _training(run),
        "## Citation\n\n" + _citation(entry),
    )
    return "\n".join(parts)


USE = """For research on facial-expression recognition: a baseline to compare with, a model to try a gate on.

Not for judging people. The model says which word annotators gave to pictures that look like this one; it
does not measure what anybody feels. Labels are weak, faces do not carry emotions one to one, and the sets are
unbalanced in age, skin, culture and picture quality; the scores below say nothing about other cameras or
other people. Some uses are forbidden by law, emotion recognition at work and in education in the European
Union among them.
"""


def title(run: Run) -> str:
    """Net and dataset."""
    return f"Candid {run.setting('model.arch')} on {run.setting('data.dataset')}"


def find_dataset(run: Run) -> Dataset | None:
    """The dataset's entry in the catalogue; None for one that it does not have."""
    return read_catalogue().get(str(run.setting("data.dataset")))


def front_matter(run: Run, entry: Dataset | None) -> str:
    """The YAML between the rules: what a hub indexes."""
    name = str(run.setting("data.dataset"))
    value: dict[str, Any] = {
        "license": LICENCE,
        "library_name": "keras",
        "pipeline_tag": "image-classification",
        "tags": ["facial-expression-recognition", "keras", "dvc"],
        "datasets": [name],
        "metrics": ["accuracy", "f1", "recall", "precision", "roc_auc"],
        "model-index": [
            {
                "name": title(run),
                "results": [
                    {
                        "task": {"type": "image-classification", "name": "Facial-expression recognition"},
                        "dataset": {
                            "type": name,
                            "name": entry.title if entry else name,
                            "config": f"{words.protocol(run)}; {words.clean(run)}",
                            "split": "test",
                        },
                        "metrics": _metrics(run),
                    }
                ],
            }
        ],
    }
    text = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 110
    yaml.dump(value, text)
    return text.getvalue()


def _metrics(run: Run) -> list[dict[str, Any]]:
    """Scores a hub knows by type; the interval stands in the name, since the format has no field for it."""
    scores = run.metrics
    macro = scores["macro"]
    wanted = (
        ("accuracy", "Accuracy", scores, "accuracy"),
        ("f1", "Macro F1", macro, "f1"),
        ("precision", "Macro precision", macro, "precision"),
        ("recall", "Macro recall", macro, "recall"),
        ("roc_auc", "Macro AUC, one against the rest", macro, "auc"),
    )
    return [
        {"type": kind, "value": of[key], "name": name + _bounds(of, key)}
        for kind, name, of, key in wanted
        if key in of
    ]


def _bounds(of: dict[str, Any], key: str) -> str:
    low, high = of.get(f"{key}_low"), of.get(f"{key}_high")
    return "" if low is None or high is None else f" (95 % interval {low:.4f} to {high:.4f})"


def _model(run: Run) -> str:
    data = run.params.get("data") or {}
    side, color = data.get("image_size"), data.get("color")
    return (
        f"{words.net(run)}. It takes faces of {side} x {side} pixels ({color}, uint8), scales them itself,\n"
        f"and gives the probability of each of {len(run.results.classes)} classes: "
        f"{', '.join(run.results.classes)}.\n"
        "`keras.models.load_model('models/model.keras')` is all that a prediction needs; the class\n"
        "names, in the order of the outputs, are in the entry `candid.json` of the same file.\n"
    )


def _data(run: Run, entry: Dataset | None) -> str:
    lines = [f"{words.dataset(run)}."]
    if entry:
        lines.append(f"{entry.title} ({entry.homepage}). Licence: {entry.licence}.")
    lines.append(f"Protocol: {words.protocol(run)}; {words.clean(run)}.")
    split = run.split or {}
    parts = [part for part in ("train", "validation", "test") if part in split]
    if parts:
        of = {part: split[part].get("per_class", {}) for part in parts}
        rows: list[tuple[str, ...]] = [("class", *parts)]
        rows += [
            (name, *(f"{of[part].get(name, {}).get('faces', 0):,}" for part in parts))
            for name in run.results.classes
        ]
        lines += ["", *table(rows)]
    return "\n".join(lines) + "\n"


def _evaluation(run: Run) -> str:
    metrics = run.metrics
    rows: list[tuple[str, ...]] = [("score", "value (95 % interval)")]
    rows += [("accuracy", interval(metrics, "accuracy")), ("macro F1", interval(metrics["macro"], "f1"))]
    rows += [
        (name.replace("_", " "), percent(metrics[name]))
        for name in ("balanced_accuracy", "ece")
        if name in metrics
    ]
    classes: list[tuple[str, ...]] = [("class", "faces", "precision", "recall", "F1")]
    for name in run.results.classes:
        of = metrics.get("per_class", {}).get(name, {})
        values = (percent(of.get(key)) for key in ("precision", "recall", "f1"))
        classes.append((name, f"{of.get('support', 0):,}", *values))
    return (
        f"On {words.grouped(metrics)}, read once; epoch and settings were chosen on the validation part.\n"
        "`ece` is the expected calibration error in 15 bins.\n\n"
        + "\n".join([*table(rows), "", *table(classes)])
        + "\n"
    )


def _training(run: Run) -> str:
    made = run.provenance or {}
    lines = [
        f"{words.training(run)}; seed {run.setting('train.seed')}.",
        f"Augmentation: {words.augmentation(run)}.",
    ]
    if made.get("revision"):
        dirty = ", with changes that were not committed" if made.get("dirty") else ""
        lines.append(f"Made at revision {made['revision']}{dirty}, with `dvc repro`.")
    if made.get("versions"):
        lines.append(
            "Versions: " + ", ".join(f"{name} {number}" for name, number in made["versions"].items()) + "."
        )
    return "\n".join(lines) + "\n"


def _citation(entry: Dataset | None) -> str:
    if entry is None:
        raise CandidError("params.yaml: data.dataset is not in the catalogue; expected one that can be cited")
    return f"Dataset: {entry.citation}\n"
