"""Small tables of faces for the tests of split."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from candid.settings import check
from candid.splits.params import SplitSettings

SECTION: dict[str, Any] = {
    "protocol": "random",
    "ratios": [0.9, 0.05, 0.05],
    "official": {"train": ["train"], "validation": ["validation"], "test": ["test"]},
    "groups": ["subject", "sequence", "duplicate"],
    "folds": 10,
    "fold": 0,
    "repeat": 0,
    "seed": 0,
}


def split_settings(**changes: Any) -> SplitSettings:
    return check("split", SplitSettings, {**SECTION, **changes})


def tables(
    labels, subject="", sequence="", duplicate=-1, part="", kept=True
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """data/faces.csv and data/kept.csv of faces with these labels; the rest one value or one a face."""
    ids = np.arange(len(labels))
    faces = pd.DataFrame({"id": ids, "label": list(labels), "source": "x", "dataset": "made"})
    faces = faces.assign(part=part, subject=subject, sequence=sequence)
    return faces, pd.DataFrame({"id": ids}).assign(group=duplicate, kept=kept, reason="")


@st.composite
def related_faces(draw, least=60, most=250):
    """Faces of three classes of which some share subject, sequence or duplicate group; some are not kept."""
    count = draw(st.integers(least, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    labels = rng.choice(["angry", "happy", "sad"], count, p=[0.2, 0.5, 0.3])

    def some(prefix: str, share: float, values: int) -> list[str]:
        known = rng.random(count) < share
        return [
            f"{prefix}{v}" if k else "" for v, k in zip(rng.integers(0, values, count), known, strict=True)
        ]

    share = draw(st.sampled_from([0.0, 0.1, 0.3]))
    duplicate = np.where(rng.random(count) < share, rng.integers(0, count // 3, count), -1)
    return tables(
        labels,
        subject=some("s", share, count // 3),
        sequence=some("q", share / 2, count // 3),
        duplicate=duplicate,
        kept=rng.random(count) < 0.95,
    )
