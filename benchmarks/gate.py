"""How often the gate stops a harmless reseed, and how often it catches a true drop: python benchmarks/gate.py

Draws pairs of predictions for a test part, hands them to the gate's comparison and counts. The sizes are
those of the papers' test parts. `bounds hold`: how often the upper ends of the one-sided 95 % intervals
of accuracy and of macro F1 are above the true change. About 15 minutes on one core.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from tqdm import tqdm

from candid.evaluation import scores
from candid.gate.statistics import Pairs, compare_pairs

SIZES = (99, 2_465, 3_589, 3_677, 7_178)  # CK+, FERGIT, PrivateTest, three classes, Public and PrivateTest
NAMES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
SHARES = np.array([0.138, 0.015, 0.143, 0.25, 0.169, 0.112, 0.173])  # of FER2013's classes
RECALLS = np.array([0.62, 0.6, 0.5, 0.88, 0.58, 0.8, 0.68])  # of an ordinary net on it
STICKY = 0.6  # of the faces that both get wrong, the share that both get wrong in the same way


@dataclass(frozen=True)
class Scene:
    """What is drawn: n faces, on which the models differ in correctness on a share `differ`."""

    n: int
    differ: float = 0.1
    drop: float = 0.0
    """True drop of accuracy."""
    classes: tuple[int, ...] = tuple(range(7))
    group: int = 1
    """Faces in a group; those of a group are lost and gained together."""
    trade: float = 0.0
    """Standard deviation of what each class's recall gains or loses at equal accuracy."""
    collapse: float = 0.0
    """What the recall of `fear` loses."""


def truth(scene: Scene, generator: np.random.Generator) -> NDArray[np.float64]:
    """Chance of each (actual, before, after): K x K x K, adding up to 1."""
    chosen = list(scene.classes)
    share, recall = SHARES[chosen] / SHARES[chosen].sum(), RECALLS[chosen]
    K, accuracy = len(chosen), float(share @ recall)
    lost = (scene.differ + scene.drop) / 2 * recall / accuracy
    gained = (scene.differ - scene.drop) / 2 * (1 - recall) / (1 - accuracy)
    if scene.trade:
        shift = generator.normal(0, scene.trade, K)
        shift -= share @ shift  # accuracy stays
        lost, gained = lost + np.maximum(-shift, 0), gained + np.maximum(shift, 0)
    if scene.collapse:
        lost[NAMES.index("fear")] += scene.collapse
    lost, gained = np.minimum(lost, 0.99 * recall), np.minimum(gained, 0.99 * (1 - recall))
    joint = np.zeros((K, K, K))
    for actual in range(K):
        wrong = np.where(np.arange(K) == actual, 0, share)
        wrong /= wrong.sum()
        both_wrong = 1 - recall[actual] - gained[actual]
        joint[actual, actual, actual] = recall[actual] - lost[actual]
        joint[actual, actual] += lost[actual] * wrong
        joint[actual, :, actual] += gained[actual] * wrong
        joint[actual] += both_wrong * (STICKY * np.diag(wrong) + (1 - STICKY) * np.outer(wrong, wrong))
        joint[actual] *= share[actual]
    joint /= joint.sum()
    return joint


def draw(scene: Scene, joint: NDArray[np.float64], generator: np.random.Generator) -> Pairs:
    """One test part: whole groups share one outcome."""
    K, groups = len(joint), -(-scene.n // scene.group)
    outcome = generator.choice(K**3, groups, p=joint.ravel())
    member = np.repeat(np.arange(groups), scene.group)[: scene.n]
    faces = outcome[member]
    names = tuple(NAMES[number] for number in scene.classes)
    return Pairs(names, faces // K**2, faces // K % K, faces % K, member, 1.0)


def true_change(joint: NDArray[np.float64]) -> NDArray[np.float64]:
    """Change of accuracy and of macro F1 in the population."""
    counts = np.rint(np.stack([joint.sum(axis=2), joint.sum(axis=1)]) * 1e12).astype(np.int64)
    values = np.stack([scores.accuracy(counts), scores.macro_f1(counts)])
    return np.asarray(values[:, 1] - values[:, 0])


def simulate(scene: Scene, resamples: int, generator: np.random.Generator) -> list[bool]:
    """Compare a drawn pair: does the gate fail, and does each of the two 95 % bounds hold the true change?"""
    joint = truth(scene, generator)
    comparison = compare_pairs(draw(scene, joint, generator), resamples=resamples)
    bounds = np.array([check.upper95 for check in comparison.headline])
    return [bool(comparison.failed), *(bounds >= true_change(joint)).tolist()]


def scenes() -> dict[str, tuple[str, list[Scene]]]:
    """What is shown: title -> (what should happen, scenes)."""
    plain = [Scene(n, classes=(3, 4, 6) if n == 3_677 else tuple(range(7))) for n in SIZES]
    reference = Scene(3_589)
    return {
        "Harmless reseeds": (
            "pass",
            [replace(scene, differ=differ) for scene in plain for differ in (0.05, 0.1, 0.2)],
        ),
        "Harmless reseeds, faces in groups": (
            "pass",
            [Scene(99, group=3), Scene(99, group=9), Scene(2_465, group=3)],
        ),
        "Harmless reseeds whose classes trade recall": ("pass", [replace(s, trade=0.04) for s in plain[1:]]),
        "Exactly at the margin": ("pass", [replace(scene, drop=0.005) for scene in plain]),
        "Accuracy falls by two points": ("fail", [replace(scene, drop=0.02) for scene in plain]),
        "Other drops": (
            "fail",
            [replace(reference, drop=drop) for drop in (0.01, 0.015, 0.025, 0.03)]
            + [replace(reference, drop=0.02, differ=differ) for differ in (0.05, 0.15, 0.2)],
        ),
        "One class loses recall": ("fail", [replace(reference, collapse=loss) for loss in (0.1, 0.15, 0.2)]),
    }


def describe(scene: Scene) -> str:
    """The scene in a few words."""
    words = [f"{scene.differ:.0%} differ"]
    words += [f"{100 * scene.drop:g} points lost"] * bool(scene.drop)
    words += [f"groups of {scene.group}"] * (scene.group > 1)
    words += [f"recall of each class moves by {100 * scene.trade:g} points (s.d.)"] * bool(scene.trade)
    words += [f"`fear` loses {100 * scene.collapse:g} points of recall"] * bool(scene.collapse)
    return ", ".join(words)


def main() -> None:
    """Print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=500)
    parser.add_argument("--resamples", type=int, default=1000, help="of the gate, each time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", metavar="TEXT", help="rows that hold this text")
    options = parser.parse_args()
    print("| | faces | the two models | should | did (95 % interval) | bounds hold |")
    print("|---|---:|---|---|---:|---:|")
    for title, (expected, list_of_scenes) in scenes().items():
        for scene in list_of_scenes:
            if options.only not in f"{title} {scene.n} {describe(scene)}":
                continue
            generator = np.random.default_rng(options.seed)
            rounds = tqdm(range(options.repeats), desc=f"{title}, {scene.n}", disable=None)
            runs = np.array([simulate(scene, options.resamples, generator) for _ in rounds])
            failed, *held = runs.mean(axis=0)
            share = failed if expected == "fail" else 1 - failed
            low, high = binomtest(round(share * len(runs)), len(runs)).proportion_ci(method="wilson")
            did, bounds = f"{share:.1%} ({low:.1%} to {high:.1%})", f"{held[0]:.1%}, {held[1]:.1%}"
            row = (title, f"{scene.n:,}", describe(scene), expected, did, bounds)
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
