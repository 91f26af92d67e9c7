"""Write what CI says on a pull request: python -m candid.report.comment --baseline main

The gate's verdict, the metrics beside the baseline's, and both confusion matrices, as Markdown in
report/comment.md. Whether the change may go in is the gate's to say: this ends with status 0 either way.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from candid.errors import CandidError, run
from candid.evaluation import scores
from candid.files import write_text
from candid.gate import tell
from candid.gate.look_up import MISSING, look_up
from candid.gate.revisions import Tree, WorkingTree, resolve
from candid.gate.verdict import judge
from candid.report import words
from candid.report.markup import interval
from candid.report.runs import Run, read_run

SCORES = {
    "accuracy": "accuracy",
    "macro.f1": "macro F1",
    "balanced_accuracy": "balanced accuracy",
    "macro.auc": "macro AUC",
    "log_loss": "log loss (less is better)",
    "ece": "calibration error (less is better)",
}
MOST_CLASSES = 20
MOST_CHARACTERS = 65_000  # GitHub takes 65,536


def comment(baseline: str, root: Path, link: str | None = None) -> str:
    """Markdown of the comment; what can't be read is said in its place."""
    here = WorkingTree(root)
    try:
        commit = resolve(root, baseline)
        verdict = tell.as_markdown(judge(commit, here))
    except CandidError as error:
        commit, verdict = None, tell.cannot(str(error), "md")
    now = _read(here)
    before = None if commit is None else _read(commit)
    parts = [verdict, *_metrics(before, now), *_matrix("Confusion, this change", now, True)]
    parts += _matrix(f"Confusion, {baseline}", before, False)
    parts += [f"[The run and its report]({link})\n"] if link else []
    parts.append(f"The same here: `make ci BASELINE={baseline}`\n")
    while len("\n".join(parts)) > MOST_CHARACTERS and len(parts) > 2:
        del parts[-2]
    return "\n".join(parts)


def _read(tree: Tree) -> Run | None:
    try:
        return read_run(tree)
    except CandidError:  # the verdict says why
        return None


def _metrics(before: Run | None, now: Run | None) -> Iterator[str]:
    if now is None:
        return
    rows: list[tuple[str, ...]] = [("", *(["baseline"] if before else []), "this change (95 %)")]
    for key, name in SCORES.items():
        values = [_value(one.metrics, key) for one in (before, now) if one is not None]
        if values[-1] != "–":
            rows.append((name, *values))
    yield "\n".join(tell.table(rows)) + "\n"
    protocol = f"{words.dataset(now)}; {words.protocol(now)}; {words.clean(now)}"
    yield f"{words.net(now)}; {protocol}; {words.grouped(now.metrics)}\n"
    if before is not None and words.net(before) != words.net(now):
        yield f"The baseline is {words.net(before)}.\n"


def _value(metrics: dict[str, Any], key: str) -> str:
    """A score with its interval where it has one; in per cent, but for the log loss."""
    value = look_up(metrics, key)
    if value is MISSING:
        return "–"
    if key == "log_loss":
        return f"{value:.3f}"
    section, _, name = key.rpartition(".")
    return interval(metrics[section] if section else metrics, name)


def _matrix(title: str, of: Run | None, shown: bool) -> Iterator[str]:
    """Per cent of the row, and faces, in a fold."""
    if of is None or len(of.results.classes) > MOST_CLASSES:
        return
    support = scores.support(of.counts)
    rows: list[tuple[str, ...]] = [("labelled ↓ taken for →", *of.results.classes)]
    for number, name in enumerate(of.results.classes):
        cells = (
            f"**{100 * faces / support[number]:.0f}** ({faces:,})"
            if faces and place == number
            else f"{100 * faces / support[number]:.0f} ({faces:,})"
            if faces
            else "·"
            for place, faces in enumerate(of.counts[number])
        )
        rows.append((name, *cells))
    fold = "<details open>" if shown else "<details>"
    table = "\n".join(tell.table(rows))
    yield f"{fold}<summary>{title}</summary>\n\n{table}\n\nPer cent of the row (faces)\n\n</details>\n"


def main(arguments: list[str] | None = None) -> None:
    """Write one file, say which."""
    parser = argparse.ArgumentParser(
        prog="python -m candid.report.comment", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--baseline", metavar="REV", required=True, help="branch, tag, commit or experiment")
    parser.add_argument("--link", metavar="URL", help="of the run that made it")
    parser.add_argument("--out", type=Path, default=Path("report/comment.md"))
    options = parser.parse_args(arguments)
    write_text(options.out, comment(options.baseline, Path(), options.link))
    print(options.out)


if __name__ == "__main__":
    run("comment", main, hint="")
