"""A run in words: what it trained, on what, by which protocol."""

from __future__ import annotations

from typing import Any

from tools.report.runs import Run


def net(run: Run) -> str:
    """The net and where its weights come from."""
    weights = run.setting("model.weights")
    return f"{run.setting('model.arch')}, {'from scratch' if weights is None else f'from {weights} weights'}"


def protocol(run: Run) -> str:
    """How the parts came about; this stands beside every number."""
    split = run.params.get("split") or {}
    kind = split.get("protocol")
    if kind == "random":
        words = f"random {'/'.join(f'{100 * share:g}' for share in split.get('ratios', []))}"
    elif kind == "folds":
        words = f"fold {split.get('fold')} of {split.get('folds')}, repeat {split.get('repeat')}"
    else:
        words = f"{kind} parts{_official(split)}"
    groups = split.get("groups") or []
    together = f"{', '.join(groups)} kept together" if groups else "images one by one"
    return f"{words}; {together}; near-duplicates {duplicates(run)}"


def _official(split: dict[str, Any]) -> str:
    """Which official parts make ours, where it is not one each."""
    chosen = {ours: theirs for ours, theirs in (split.get("official") or {}).items() if theirs != [ours]}
    listed = ", ".join(f"{ours} from {' and '.join(theirs) or 'nothing'}" for ours, theirs in chosen.items())
    return f" ({listed})" if listed else ""


def duplicates(run: Run) -> str:
    """What was done to near-duplicates."""
    policy = (run.dedup or {}).get("policy", run.setting("dedup.policy"))
    done = {
        "remove": "removed",
        "decontaminate": "removed where a protected part has one",
        "group": "kept together",
        "off": "left as they are",
    }
    return done.get(str(policy), str(policy))


def clean(run: Run) -> str:
    """Whether test faces have relatives in the training part."""
    if not run.metrics["leaky"]:
        return "clean"
    return f"leaky: {run.metrics.get('leaked_test_faces', 'some')} test faces have relatives in train"


def dataset(run: Run) -> str:
    """The dataset and how its faces were brought in."""
    data = run.params.get("data") or {}
    classes = data.get("classes")
    chosen = f", only {', '.join(classes)}" if classes else ""
    parts = data.get("parts")
    taken = f", parts {', '.join(parts)}" if parts else ""
    return f"{data.get('dataset')}, {data.get('image_size')} px {data.get('color')}{chosen}{taken}"


def grouped(metrics: dict[str, Any]) -> str:
    """`2,465 faces`, and in how many groups if some are not alone."""
    faces, groups = metrics.get("faces", 0), metrics.get("groups")
    within = f" in {groups:,} independent groups" if groups is not None and groups < faces else ""
    return f"{faces:,} test faces{within}"


def command(run: Run) -> str:
    """What makes the run again, from a clone at its revision."""
    made = run.provenance or {}
    at = f"git checkout {made['revision'][:12]} && " if made.get("revision") else ""
    return f"{at}dvc repro"


def training(run: Run) -> str:
    """Optimiser, rate, batches and epochs."""
    train = run.params.get("train") or {}
    stop = (train.get("early_stopping") or {}).get("patience")
    return (
        f"{train.get('optimizer')}, learning rate {train.get('learning_rate')} ({train.get('schedule')}), "
        f"batches of {train.get('batch_size')}, at most {train.get('epochs')} epochs"
        + (f", stopping after {stop} without progress" if stop else "")
        + f"; saved by {train.get('monitor')}; {train.get('backend')}, {train.get('precision')}"
    )


def augmentation(run: Run) -> str:
    """The changes that are switched on, each with its ranges."""
    changes = (run.params.get("train") or {}).get("augment") or {}
    told = []
    for name, value in changes.items():
        if isinstance(value, dict) and value.get("probability"):
            ranges = ", ".join(f"{key} {number:g}" for key, number in value.items() if key != "probability")
            often = "" if value["probability"] == 1 else f", probability {value['probability']:g}"
            told.append(f"{name} ({ranges}{often})")
        elif isinstance(value, int | float) and value:
            told.append(f"{name} {value:g}")
    return "; ".join(told) or "none"
