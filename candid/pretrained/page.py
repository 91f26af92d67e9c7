"""The shipped model's card: YAML front matter as model hubs read it, and a page for people."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from candid.data.catalogue import Dataset
from candid.errors import CandidError
from candid.html import render
from candid.report.card import find_dataset, front_matter
from candid.report.run import Run, share
from candid.text import markdown_table

HEAD = "The model that comes with Candid. Made by `candid pretrained`; do not edit."


def page(run: Run, about: dict[str, Any]) -> str:
    """Markdown beside the model file.

    Args:
        run: the run that made it, whose metrics are replaced by those of the shipped file.
        about: what stands in the JSON file beside it.
    """
    entry = find_dataset(run)
    if entry is None:
        raise CandidError("params.yaml: data.dataset is not in the catalogue; expected one that can be cited")
    parts = (
        f"---\n{front_matter(run, entry)}---\n",
        f"# Candid {run.title}\n\n{HEAD}\n",
        "## Model\n\n" + _model(run, about),
        "## Use it with care\n\n"
        + render("use.md")
        + "\nMore: [responsible use](../../docs/responsible-use.md).\n",
        "## Scores\n\n" + _scores(run, about),
        "## Recipe\n\n" + _recipe(run, about),
        "## Data and licences\n\n" + _licences(run, entry),
        f"## Citation\n\nDataset: {entry.citation}\n",
    )
    return "\n".join(parts)


def shipped(run: Run, scores: dict[str, Any]) -> Run:
    """The run with the scores of the shipped file in place of its own."""
    return replace(run, results=replace(run.results, report=scores))


def _model(run: Run, about: dict[str, Any]) -> str:
    data = run.params["data"]
    file = about["file"]
    return (
        f"`{file}`, {about['bytes']:,} bytes, md5 `{about['md5']}`: {run.net}. It takes\n"
        f"faces of {data['image_size']} x {data['image_size']} pixels ({data['color']}, uint8), "
        f"scales them itself, and gives the probability of each of\n{len(run.results.classes)} classes: "
        f"{', '.join(run.results.classes)}. Class names, in the order of the outputs, are in its entry\n"
        "`candid.json`; `candid-faces.npy` has digests of the faces that trained it and chose its epoch, so "
        "that what starts from it is\nheld to them. Kernels are stored as float16 and computed with as "
        "float32.\n\n"
        "```python\n"
        "import keras\n\n"
        f'model = keras.models.load_model("models/pretrained/{file}", compile=False)\n'
        "probabilities = model.predict(faces)  # uint8\n"
        "```\n"
    )


def _scores(run: Run, about: dict[str, Any]) -> str:
    rows: list[tuple[str, ...]] = [
        ("score (95 % interval)", *(_view(name) for name in about["metrics"])),
        *(_row(name, key, about["metrics"].values()) for name, key in HEADLINES),
    ]
    classes: list[tuple[str, ...]] = [("class", "faces", "precision", "recall", "F1")]
    for name, of in run.scores["per_class"].items():
        values = (share(of, key) for key in ("precision", "recall", "f1"))
        classes.append((name, f"{of.get('support', 0):,}", *values))
    changed = about["rounding"]
    faces = changed["faces_whose_class_changed"]
    return (
        f"On {run.grouped} of {run.dataset}: {run.protocol}; "
        f"{run.clean}.\n"
        "Measured from this very file. Epoch and settings were chosen on the validation part."
        f"{_never(run)}\n\n"
        + "\n".join(
            [
                *markdown_table(rows[0], rows[1:]),
                "",
                "Each class, one view:",
                "",
                *markdown_table(classes[0], classes[1:]),
                "",
            ]
        )
        + f"\nStoring float16 changed no probability by more than "
        f"{changed['largest_change_of_a_probability']:.2g}, and the class of "
        f"{faces} face{'s' * (faces != 1)}.\n\n"
        "`pytest tests/tools/test_pretrained.py` measures these scores again where `CANDID_MIRROR` holds "
        "the archive.\n"
    )


def _never(run: Run) -> str:
    """Classes that the model says of no test face: what its user should know first."""
    silent = [name for name, of in run.scores["per_class"].items() if not of.get("recall") and of["support"]]
    return f" **It never says {' or '.join(silent)}.**" if silent else ""


HEADLINES = (
    ("accuracy", "accuracy"),
    ("macro F1", "macro.f1"),
    ("balanced accuracy", "balanced_accuracy"),
    ("log loss", "log_loss"),
    ("calibration error (ECE)", "ece"),
)


def _row(name: str, key: str, of: Any) -> tuple[str, ...]:
    cells = []
    for scores in of:
        *outer, last = key.split(".")
        values = scores[outer[0]] if outer else scores
        cells.append(f"{values[last]:.3f}" if last in ("log_loss", "ece") else share(values, last))
    return name, *cells


def _view(tta: str) -> str:
    return {"none": "one view", "flip": "with its mirror image"}[tta]


def _recipe(run: Run, about: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return (
        f"```\ngit checkout {about['commit'][:12]}\n{about['command']}\n```\n\n"
        f"{run.training}; seed {run.setting('train.seed')}; "
        f"epoch {run.counts.get('provenance', {}).get('best_epoch', 'as saved')} was kept.\n"
        f"Augmentation: {run.augmentation}. Versions: {versions}.\n\n"
        f"Packed by `candid pretrained` from the run's `models/model.keras`, md5 "
        f"`{about['packed_from']}`.\n"
    )


def _licences(run: Run, entry: Dataset) -> str:
    faces = (run.counts.get("split", {}).get("train") or {}).get("faces")
    trained = f" ({faces:,} faces to train on)" if faces else ""
    return (
        f"Trained on {entry.title}{trained}, {entry.homepage}.\n"
        f"Its terms: {entry.licence[0].lower()}{entry.licence[1:]}. "
        "No picture of it is in this repository.\n\n"
        "The weights are given under Apache-2.0, as the rest of the project, as far as they are ours to\n"
        "give: whether weights are bound by the rights in the pictures that they were made from is not\n"
        "settled everywhere, and the set was published for research. Find out before you do more with\n"
        "them.\n"
    )
