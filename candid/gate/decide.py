"""Which checks fail: the change of a score lies below its margin, and chance does not explain it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, ndtri, stdtrit

from candid.errors import CandidError
from candid.evaluation import scores
from candid.evaluation.scores import Floats
from candid.gate.pairs import Pairs
from candid.gate.params import GateSettings
from candid.gate.resampling import Kinds, bootstrap, changes, exchange, kinds

LEVEL = 0.05
HEADLINE_LEVEL = 0.04
CLASS_LEVEL = LEVEL - HEADLINE_LEVEL
CAUGHT = 0.8
FEWEST_GROUPS = 3


@dataclass(frozen=True)
class Check:
    """One score, before and after. Scores, changes and margins are fractions."""

    name: str
    before: float
    after: float
    upper95: float
    """Upper end of the one-sided 95 % interval of the change, of this score alone."""
    bound: float
    """The same, held over all checks together; this is what fails."""
    p_value: float
    """Chance of a change as bad in any check of its family, if the two models could be exchanged."""
    margin: float
    level: float
    """Share of the error that its family may spend."""
    detectable: float
    """A drop of this size fails in CAUGHT of all cases, at these counts."""

    @property
    def change(self) -> float:
        """After - before."""
        return self.after - self.before

    @property
    def failed(self) -> bool:
        """Below the margin by the interval, and not explained by an exchange of the models."""
        return self.bound < -self.margin and self.p_value <= self.level


@dataclass(frozen=True)
class ClassChange:
    """What changed on the faces of one class."""

    name: str
    support: int
    lost: int
    """Right before, wrong after."""
    gained: int
    recall_before: float
    recall_after: float
    f1: Check


@dataclass(frozen=True)
class McNemar:
    """Exact two-sided test of McNemar (1947) on faces right in one model only; takes faces as independent."""

    lost: int
    gained: int
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """All that was compared, on N faces in G groups."""

    faces: int
    groups: int
    common: float
    headline: tuple[Check, Check]
    """Accuracy and macro F1."""
    classes: tuple[ClassChange, ...]
    """Those that have test faces."""
    mcnemar: McNemar

    @property
    def failed(self) -> list[Check]:
        """Checks that fail."""
        return [check for check in (*self.headline, *(change.f1 for change in self.classes)) if check.failed]


def compare(pairs: Pairs, settings: GateSettings) -> Comparison:
    """Compare two models on the same faces; the same seed gives the same answer.

    Raises:
        CandidError: so few independent groups that nothing can be said.
    """
    found = kinds(pairs)
    if found.effective_groups < FEWEST_GROUPS:
        raise CandidError(
            f"{len(pairs.actual):,} test faces in {found.times.sum()} independent groups tell as much as "
            f"{found.effective_groups:.1f} groups of equal size; expected at least {FEWEST_GROUPS}"
        )
    generator = np.random.default_rng(settings.seed)
    drawn = bootstrap(found, settings.resamples, generator)
    exchanged = exchange(found, settings.resamples, generator)
    total = found.total
    present = np.flatnonzero(scores.support(total[0]))
    names = ("accuracy", "macro F1")
    headline = _family(names, [0, 1], found, drawn, exchanged, settings.margin, HEADLINE_LEVEL)
    each = _family(
        [f"F1 of {pairs.classes[number]}" for number in present],
        [2 + int(number) for number in present],
        found,
        drawn,
        exchanged,
        settings.class_margin,
        CLASS_LEVEL,
    )
    right_before, right_after = pairs.before == pairs.actual, pairs.after == pairs.actual
    lost, gained = right_before & ~right_after, right_after & ~right_before
    classes = tuple(
        _class_change(pairs, int(number), lost, gained, check)
        for number, check in zip(present, each, strict=True)
    )
    return Comparison(
        len(pairs.actual),
        int(found.times.sum()),
        pairs.common,
        (headline[0], headline[1]),
        classes,
        mcnemar(int(lost.sum()), int(gained.sum())),
    )


def mcnemar(lost: int, gained: int) -> McNemar:
    """Two-sided exact p-value: lost and gained are equally likely among the faces where the models differ."""
    p_value = 1.0 if lost == gained else min(1.0, 2 * float(bdtr(min(lost, gained), lost + gained, 0.5)))
    return McNemar(lost, gained, p_value)


def _class_change(
    pairs: Pairs, number: int, lost: NDArray[np.bool_], gained: NDArray[np.bool_], check: Check
) -> ClassChange:
    its = pairs.actual == number
    return ClassChange(
        pairs.classes[number],
        int(its.sum()),
        int(lost[its].sum()),
        int(gained[its].sum()),
        float((pairs.before[its] == number).mean()),
        float((pairs.after[its] == number).mean()),
        check,
    )


def _family(
    names: tuple[str, ...] | list[str],
    columns: list[int],
    found: Kinds,
    drawn: Floats,
    exchanged: Floats,
    margin: float,
    level: float,
) -> list[Check]:
    """Bounds that hold for all these scores at once, from the largest of their standardised deviations."""
    observed = changes(found.total)[columns]
    before = _scores_before(found)[columns]
    mean, spread = drawn[:, columns].mean(axis=0), drawn[:, columns].std(axis=0)
    deviation = _over(drawn[:, columns] - mean, spread)
    wider = _small_sample_factor(found.effective_groups)
    upper95 = mean + wider * np.quantile(deviation, 1 - LEVEL, axis=0) * spread
    together = wider * float(np.quantile(deviation.max(axis=1), 1 - level))
    by_chance = exchanged[:, columns].std(axis=0)
    worst = _over(exchanged[:, columns], by_chance).min(axis=1)
    seen = _over(observed, by_chance)
    p_values = (1 + (worst[:, None] <= seen + 1e-9).sum(axis=0)) / (1 + len(worst))
    return [
        Check(
            name,
            float(before[i]),
            float(before[i] + observed[i]),
            float(upper95[i]),
            float(mean[i] + together * spread[i]),
            float(p_values[i]),
            margin,
            level,
            float(margin + (together + ndtri(CAUGHT)) * spread[i]),
        )
        for i, name in enumerate(names)
    ]


def _scores_before(found: Kinds) -> Floats:
    """Accuracy, macro F1 and the F1 of each class of the baseline."""
    counts = found.total[0]
    headline = [float(scores.accuracy(counts)), float(scores.macro_f1(counts))]
    return np.array([*headline, *np.nan_to_num(scores.f1(counts))])


def _over(value: Floats, spread: Floats) -> Floats:
    """Divide; 0 where nothing varies."""
    quotient = np.zeros(np.broadcast_shapes(value.shape, spread.shape))
    np.divide(value, spread, out=quotient, where=spread > 0)
    return quotient


def _small_sample_factor(groups: float) -> float:
    """Widening for few groups, G > 1 (Hesterberg 2015): t quantile over normal, times sqrt(G / (G - 1))."""
    t, z = float(stdtrit(groups - 1, 1 - LEVEL)), float(ndtri(1 - LEVEL))
    return t / z * float(np.sqrt(groups / (groups - 1)))
