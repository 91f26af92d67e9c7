"""The one table: size, accuracy and latency of Keras's model and of its exports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from candid import text
from candid.export.compare import Faces, Measured
from candid.export.latency import Latency

HEAD = (
    *(
        "model",
        "kB",
        "size ratio",
        "accuracy",
        "change in points (95 %)",
        "largest difference",
    ),
    *("ms a face", "time ratio"),
)


def rows(measured: Sequence[Measured], timed: Sequence[Latency]) -> list[tuple[str, ...]]:
    """HEAD, and a row a model; the first is Keras's."""
    first = measured[0]
    body = [
        (
            found.name,
            f"{found.bytes / 1000:,.0f}",
            f"{found.bytes / first.bytes:.2f}",
            text.percent(found.accuracy),
            _change(found),
            "" if found.difference is None else f"{found.difference:.1g}",
            f"{latency.milliseconds:.2f}",
            f"{latency.ratio:.2f}",
        )
        for found, latency in zip(measured, timed, strict=True)
    ]
    return [HEAD, *body]


def markdown(title: str, lines: Sequence[str], cells: list[tuple[str, ...]]) -> str:
    """The report: what was done, and the table."""
    return "\n".join(
        [
            f"# {title}",
            "",
            *(f"- {line}" for line in lines),
            "",
            *text.markdown_table(cells[0], cells[1:]),
            "",
        ]
    )


def plain(cells: list[tuple[str, ...]]) -> list[str]:
    """The table for a terminal."""
    widths = [max(len(row[place]) for row in cells) for place in range(len(HEAD))]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def notes(faces: Faces, source: str, calibrated: int) -> list[str]:
    """What the numbers are of."""
    lines = [
        f"{len(faces.actual):,} test faces of {source}",
        "milliseconds: median for one face on one thread of the CPU, the models taking turns",
        "ratios to Keras; largest difference: of a probability; the interval of the change is paired",
    ]
    if calibrated:
        lines.append(f"int8: ranges from {calibrated:,} training faces")
    return lines


def beside(found: Measured, about: dict[str, Any]) -> dict[str, Any]:
    """The JSON file that stands beside an export."""
    change = found.change
    scores = {} if change is None else {"accuracy_change": change._asdict()}
    return {
        **about,
        "bytes": found.bytes,
        "accuracy": found.accuracy,
        "difference": found.difference,
        **scores,
    }


def _change(found: Measured) -> str:
    if found.change is None:
        return ""
    value, low, high = (text.points(part) for part in found.change)
    return f"{value} ({low} to {high})"
