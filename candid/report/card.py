"""The model card: front matter with a model-index, as model hubs read it, and a page for people."""

from __future__ import annotations

from typing import Any

from candid.data.catalogue import Dataset, read_catalogue
from candid.errors import CandidError
from candid.html import render
from candid.report.run import Run, class_counts, number, share
from candid.text import markdown, markdown_table

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


def card(run: Run) -> str:
    """Markdown of report/model-card.md; CandidError for a dataset that the catalogue can't cite."""
    scores = run.scores
    headline = [["accuracy", share(scores, "accuracy")], ["macro F1", share(scores["macro"], "f1")]]
    others = (name for name in ("balanced_accuracy", "ece") if name in scores)
    headline += [[name.replace("_", " "), share(scores, name)] for name in others]
    counts = class_counts(run)[:-1] if "split" in run.counts else []
    sets = [[markdown(cell) for cell in row] for row in counts]
    return render(
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
