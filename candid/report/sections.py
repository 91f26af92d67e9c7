"""The parts of the page that tell of one run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from candid.report import charts, words
from candid.report.asked import asked
from candid.report.markup import Markup, join, paragraph, percent, picture, section, table
from candid.report.runs import Run
from candid.report.scored import confusion, results


def article(run: Run, prefix: str, faces: bool = True) -> Markup:
    """All that is known of a run; `prefix` keeps anchors apart where there are several."""
    parts = (
        section(f"{prefix}asked", "What was asked", *asked(run)),
        section(f"{prefix}data", "Data", *data(run)),
        section(f"{prefix}training", "Training", *training(run)),
        section(f"{prefix}results", "Results", *results(run)),
        section(f"{prefix}confusion", "What is taken for what", *confusion(run)),
        section(f"{prefix}mistakes", "Mistakes", *mistakes(run, faces)),
        section(f"{prefix}again", "How to make it again", *again(run)),
    )
    return join(parts)


def headline(run: Run) -> Markup:
    """The numbers that matter, each with its interval and the count behind it."""
    metrics, macro = run.metrics, run.metrics["macro"]
    cards = (
        ("Accuracy", percent(metrics["accuracy"]), _bounds(metrics, "accuracy")),
        ("Macro F1", percent(macro["f1"]), _bounds(macro, "f1")),
        ("Calibration error", percent(metrics.get("ece")), "expected, 15 bins"),
        ("Test part", f"{metrics.get('faces', len(run.results.faces)):,}", _groups(metrics)),
    )
    items = "".join(
        f"<div><dt>{name}</dt><dd><b>{value}</b><span>{below}</span></dd></div>"
        for name, value, below in cards
    )
    kind = "bad" if metrics["leaky"] else "good"
    return join(
        [
            f'<dl class="cards">{items}</dl>',
            paragraph(
                Markup(f'<span class="badge {kind}">{"leaky" if metrics["leaky"] else "clean"}</span> '),
                words.protocol(run),
            ),
        ]
    )


def _bounds(metrics: dict[str, Any], name: str) -> str:
    low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
    return "no interval" if low is None or high is None else f"95 %: {100 * low:.1f} to {100 * high:.1f}"


def _groups(metrics: dict[str, Any]) -> str:
    return f"faces, {metrics['groups']:,} groups" if "groups" in metrics else "faces"


def data(run: Run) -> Iterator[Markup]:
    """Counts, duplicates, what was rejected."""
    ingest, dedup, split = run.ingest, run.dedup, run.split
    if ingest:
        yield paragraph(
            f"{_count(ingest, 'faces')} faces read; {_count(ingest, 'rejected')} files could not be read and "
            f"{_count(ingest, 'skipped')} were left out by the settings."
        )
    if dedup:
        yield paragraph(_duplicates(dedup, run))
    if split:
        yield table("Faces by class and part", *_class_counts(run, split))
        leaked = split.get("leaked_test_faces", 0)
        yield paragraph(
            f"{leaked:,} test faces have a relative (person, film or near-duplicate) in the training part."
            if leaked
            else "No test face has a relative (person, film or near-duplicate) in the training part."
        )
    if not (ingest or dedup or split):
        yield paragraph(
            "This revision keeps no counts of its data (metrics/ingest.json, dedup.json, split.json)."
        )


def _count(counts: dict[str, Any], name: str) -> str:
    value = counts.get(name)
    return f"{value:,}" if isinstance(value, int) else "an unknown number of"


def _duplicates(dedup: dict[str, Any], run: Run) -> str:
    line = (
        f"{_count(dedup, 'images_with_copy')} faces ({percent(dedup.get('share_with_copy'))}) have a copy: "
        f"{_count(dedup, 'exact_pairs')} exact pairs and {_count(dedup, 'near_pairs')} near ones, in "
        f"{_count(dedup, 'groups')} groups, the largest of {_count(dedup, 'largest_group')}. "
        f"They were {words.duplicates(run)}; {_count(dedup, 'removed')} faces went."
    )
    conflicts = dedup.get("conflicting_groups")
    if conflicts:
        line += (
            f" {conflicts:,} groups carry more than one label ({_count(dedup, 'conflicting_images')} faces)."
        )
    return line


def _class_counts(run: Run, split: dict[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    parts = [part for part in ("train", "validation", "test") if part in split]
    of = {part: split[part].get("per_class", {}) for part in parts}
    rows = [
        (name, *(f"{of[part].get(name, {}).get('faces', 0):,}" for part in parts))
        for name in run.results.classes
    ]
    rows.append(("all", *(f"{split[part].get('faces', 0):,}" for part in parts)))
    return ("class", *parts), rows


def training(run: Run) -> Iterator[Markup]:
    """Curves."""
    drawn = charts.training_curves(run)
    if not drawn:
        yield paragraph(
            "The training curves (plots/history.csv) are neither in this revision nor in DVC's cache here; "
            "`dvc pull` or `dvc repro` brings them."
        )
        return
    assert run.history is not None
    kept = "" if run.kept_epoch is None else f"; the weights of epoch {run.kept_epoch} were kept"
    yield paragraph(f"{len(run.history)} epochs{kept}, chosen on the validation part.")
    yield Markup(f'<div class="charts">{join(drawn)}</div>')


def mistakes(run: Run, faces: bool) -> Iterator[Markup]:
    """The sheet of the most confident mistakes."""
    if not faces:
        yield paragraph("Left out: this page was made without faces.")
    elif run.mistakes is None:
        yield paragraph("plots/mistakes.png is neither in this revision nor in DVC's cache here.")
    else:
        yield picture(
            run.mistakes,
            "Sheet of test faces that the model got wrong, the most confident first, with both labels",
            "The most confident mistakes. The pictures belong to the dataset: see its licence before this "
            "page is passed on, or make it with --no-faces.",
        )


def again(run: Run) -> Iterator[Markup]:
    """The command, the versions, the machine."""
    made = run.provenance
    if made is None:
        yield paragraph("This revision does not say what made it (metrics/provenance.json).")
        return
    if made.get("dirty"):
        yield paragraph(
            "Made with changes that were not committed: the revision alone does not give it again."
        )
    yield Markup(f"<pre tabindex='0'><code>{words.command(run)}</code></pre>")
    device = made.get("device", {})
    rows = [
        ("revision", made.get("revision", "not in git")),
        ("versions", ", ".join(f"{name} {number}" for name, number in made.get("versions", {}).items())),
        (
            "machine",
            f"{device.get('processor', '')}, {device.get('cores', '?')} cores, {device.get('system', '')}",
        ),
        ("devices", ", ".join(map(str, device.get("devices", []))) or "none"),
        *((f"md5 of {path}", md5) for path, md5 in made.get("md5", {}).items()),
    ]
    yield table("What made it", ("what", "which"), rows, kind="settings", words=2)
