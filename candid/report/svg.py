"""Charts as SVG: axes, lines, bars and dots, coloured by the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

WIDTH, HEIGHT = 360, 250  # about a phone's width: text keeps its size there


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, at most `most` + 1 of them."""
    if not high > low:
        return [low]
    raw = (high - low) / most
    step = 10 ** math.floor(math.log10(raw))
    step *= next(factor for factor in (1, 2, 2.5, 5, 10) if factor * step >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 10) for number in range(first, math.floor(high / step + 1e-9) + 1)]


class Chart:
    """A drawing with linear axes; coordinates are those of the data."""

    def __init__(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        *,
        label: str,
        left: int = 44,
        bottom: int = 36,
        height: int = HEIGHT,
    ) -> None:
        """Set the ranges of both axes and what a screen reader says of the chart."""
        self.x, self.y, self.label, self.height = x, y, label, height
        self.box = (left, 10, WIDTH - 20, height - bottom)
        self.parts: list[str] = []

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Place of a point on the drawing, in pixels."""
        left, top, right, bottom = self.box
        across = (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        up = (y - self.y[0]) / ((self.y[1] - self.y[0]) or 1)
        return round(left + across * (right - left), 1), round(bottom - up * (bottom - top), 1)

    def x_axis(self, values: Iterable[float], texts: Iterable[str], title: str) -> None:
        """Tick labels below, and what the axis is."""
        _, _, _, bottom = self.box
        for value, text in zip(values, texts, strict=True):
            self.text(self.at(value, self.y[0])[0], bottom + 15, text, "middle")
        self.text((self.box[0] + self.box[2]) / 2, self.height - 4, title, "middle", "muted")

    def y_axis(self, values: Iterable[float], texts: Iterable[str], grid: bool = True) -> None:
        """Tick labels to the left, with lines across."""
        left, _, right, _ = self.box
        for value, text in zip(values, texts, strict=True):
            y = self.at(self.x[0], value)[1]
            if grid:
                self.parts.append(f'<path class="grid" d="M{left} {y}H{right}"/>')
            self.text(left - 6, y + 4, text, "end")

    def line(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """Draw through the points; those that are no number leave a gap."""
        path, pen_down = "", False
        for x, y in points:
            if not (math.isfinite(x) and math.isfinite(y)):
                pen_down = False
                continue
            px, py = self.at(x, y)
            path += f"{'L' if pen_down else 'M'}{px:g} {py:g}"
            pen_down = True
        if path:
            self.parts.append(f'<path class="line {kind}" d="{path}"/>')

    def dot(self, x: float, y: float, kind: str, title: str = "") -> None:
        """A point, with a text that is shown when it is pointed at."""
        px, py = self.at(x, y)
        told = f"<title>{escape(title)}</title>" if title else ""
        self.parts.append(f'<circle class="dot {kind}" cx="{px}" cy="{py}" r="4">{told}</circle>')

    def bar(self, left: float, right: float, low: float, high: float, kind: str, title: str = "") -> None:
        """A rectangle."""
        x0, y0 = self.at(left, high)
        x1, y1 = self.at(right, low)
        told = f"<title>{escape(title)}</title>" if title else ""
        size = f'x="{x0:g}" y="{y0:g}" width="{max(x1 - x0 - 1, 0.5):g}" height="{max(y1 - y0, 0):g}"'
        self.parts.append(f'<rect class="bar {kind}" {size}>{told}</rect>')

    def text(self, x: float, y: float, text: str, anchor: str = "start", kind: str = "") -> None:
        """A word at a place in pixels."""
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" class="{kind}">{escape(text)}</text>'
        )

    def svg(self) -> str:
        """The drawing."""
        return (
            f'<svg viewBox="0 0 {WIDTH} {self.height}" role="img" aria-label="{escape(self.label)}">'
            f"{''.join(self.parts)}</svg>"
        )
