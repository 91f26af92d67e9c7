"""Numbers and sentences of the table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from candid.compare.measured import Estimate, Measured
from candid.compare.rows import Row, Table
from candid.recipes import Published

NONE = "–"
BENT = "shortened, changed, from scratch or in part"
METRICS = {
    "macro.f1": "macro F1",
    "micro.f1": "micro F1",
    "weighted.f1": "weighted F1",
    "log_loss": "log loss",
}


def metric(name: str) -> str:
    """A place in metrics/report.json in words: `happy recall`, `macro AUC`."""
    if name in METRICS:
        return METRICS[name]
    words = name.removeprefix("per_class.").replace("_", " ").replace(".", " ")
    return re.sub(r"\bauc$", "AUC", re.sub(r"\bf1$", "F1", words))


def number(value: float, name: str, digits: int = 1) -> str:
    """A score in per cent without the sign; the log loss in nats."""
    return f"{value:.3f}" if name == "log_loss" else f"{100 * value:.{digits}f}"


def published(of: Published | None) -> str:
    """The paper's number as it gives it, and its standard deviation."""
    if of is None:
        return NONE
    sd = "" if of.sd is None else f" ±{_as_printed(of.sd, of.metric)}"
    return _as_printed(of.value, of.metric) + sd


def _as_printed(value: float, name: str) -> str:
    return f"{value:g}" if name == "log_loss" else f"{round(100 * value, 3):g}"


def estimate(of: Estimate | None, name: str) -> str:
    """`61.0 (59.1–62.8)`, with ± and the standard deviation where there is one."""
    if of is None:
        return NONE
    sd = "" if of.sd is None else f" ±{number(of.sd, name)}"
    bounds = "" if of.bounds is None else f" ({number(of.bounds[0], name)}–{number(of.bounds[1], name)})"
    return number(of.value, name) + sd + bounds


def difference(row: Row) -> str:
    """Measured minus published, in points, with its sign."""
    if row.difference is None:
        return NONE
    scaled = row.difference if row.metric == "log_loss" else 100 * row.difference
    text = f"{scaled:+.2f}" if row.metric == "log_loss" else f"{scaled:+.1f}"
    return "0.0" if not text.strip("+-0.") else text.replace("-", "−")


def within(row: Row) -> str:
    """Whether the published number lies in the interval."""
    return {None: NONE, True: "yes", False: "no"}[row.within]


def source(of: Published | None) -> str:
    """`Table 3` as T3, `Fig. 5` as F5, so that it fits beside the number."""
    if of is None:
        return ""
    short = of.source
    for word, letter in (("Table|Tab", "T"), ("Figure|Fig", "F"), ("Section|Sec", "S")):
        short = re.sub(rf"\b({word})s?\.?\s+(?=[\dIVX])", letter, short, flags=re.IGNORECASE)
    return short.replace(" and ", ", ")


def duration(seconds: float) -> str:
    """Hours and minutes, or minutes and seconds."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s"


class Marks:
    """Letters for what is said of several numbers, so that it is said once."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def of(self, notes: Iterable[str]) -> str:
        """Letters of the notes, new ones where they are new."""
        return ",".join(self.known.setdefault(note, _letter(len(self.known))) for note in notes)

    def legend(self) -> list[tuple[str, str]]:
        """Letter and note."""
        return [(letter, note) for note, letter in self.known.items()]


def _letter(place: int) -> str:
    before, last = divmod(place, 26)
    return (_letter(before - 1) if before else "") + chr(ord("a") + last)


def in_short(table: Table) -> list[str]:
    """The table in sentences, for who has a minute."""
    rows = table.rows()
    told = []
    judged = [row for row in rows if row.within is not None]
    if judged:
        inside = sum(bool(row.within) for row in judged)
        told.append(
            f"{inside} of {len(judged)} published number{'s lie' if len(judged) > 1 else ' lies'} within the "
            "95 % interval of what was measured under the paper's protocol."
        )
    counts = {
        "measured": sum(_bent(one.measured) for one in table.pairs),
        "honest": sum(_bent(one.honest) for one in table.pairs),
    }
    if any(counts.values()):
        runs = " and ".join(
            f"{count} {kind} run{'s' * (count > 1)}" for kind, count in counts.items() if count
        )
        are = "are" if sum(counts.values()) > 1 else "is"
        told.append(f"{runs} {are} {BENT}: see the letters.")
    told += _gap("published", _against(table, published=True))
    told += _gap("measured under the paper's protocol", _against(table, published=False))
    shares = {
        called: _leaked([one.honest if honest else one.measured for one in table.pairs])
        for honest, called in ((False, "under the paper's protocol"), (True, "under the honest one"))
    }
    if any(shares.values()):
        spans = ", ".join(f"{_span(found)} % {called}" for called, found in shares.items() if found)
        told.append(f"Test faces with a relative in the training part: {spans}{_yardsticks(table)}.")
    return told


def _yardsticks(table: Table) -> str:
    """From which similarity on faces count as relatives, where the honest protocol has another."""
    key = "dedup.min_similarity"
    ran = [(pair.run, pair.measured) for pair in table.pairs if pair.measured is not None]
    had = {one.params[key] for _, of in ran for one in of.members.values() if key in one.params}
    wanted = {run.honest[key] for run, _ in ran if run.honest and key in run.honest}
    if not had or not wanted or had == wanted:
        return ""
    named = [" to ".join(f"{value:g}" for value in sorted(values)) for values in (had, wanted)]
    return f" (from a similarity of {named[0]} on; the honest protocol's is {named[1]})"


def _bent(of: Measured | None) -> bool:
    """Whether what was run is not the run as the recipe has it, or not all of it."""
    return of is not None and not (of.whole and of.deviation.none)


def _against(table: Table, published: bool) -> list[tuple[float, bool]]:
    """Honest minus published (or minus measured), in points, where both are there; whether one is bent."""
    gaps = []
    for pair in table.pairs:
        if not published and not pair.alike:
            continue
        (row,) = pair.rows(full=False)
        honest, reference = row.honest.estimate, row.published if published else row.measured.estimate
        if honest is not None and reference is not None and row.metric != "log_loss":
            bent = _bent(pair.honest) or (not published and _bent(pair.measured))
            gaps.append((100 * (honest.value - reference.value), bent))
    return gaps


def _gap(reference: str, found: Sequence[tuple[float, bool]]) -> list[str]:
    if not found:
        return []
    gaps, bent = [gap for gap, _ in found], sum(bent for _, bent in found)
    if min(gaps) >= 0 or max(gaps) <= 0:
        where = "above" if min(gaps) >= 0 else "below"
        span = _span([abs(gap) for gap in gaps])
        lies = f"{span} {_points(span)} {where}"
    else:
        lies = f"from {-min(gaps):.1f} points below to {max(gaps):.1f} above"
    return [f"The honest number lies {lies} the one {reference}{_of(len(gaps), bent)}."]


def _points(span: str) -> str:
    return "point" if span == "1.0" else "points"


def _of(runs: int, bent: int) -> str:
    """How many runs are spoken of, and how many of them are not as the recipe has them."""
    if runs == 1:
        return f" ({BENT})" * bent
    return f" ({runs} runs{f', {bent} of them {BENT}' * (bent > 0)})"


def _span(values: Sequence[float]) -> str:
    low, high = f"{min(values):.1f}", f"{max(values):.1f}"
    return low if low == high else f"{low} to {high}"


def _leaked(found: Iterable[Measured | None]) -> list[float]:
    pairs = [one.leaked for one in found if one is not None]
    return [100 * leaked / faces for leaked, faces in pairs if faces]
