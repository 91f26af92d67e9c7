from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_ind

from benchmarks import backends
from benchmarks.backends import difference


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_of_a_difference_is_that_of_welch(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.normal(0.6, 0.02, 3 + seed).tolist(), rng.normal(0.62, 0.05, 4).tolist()
    gap, half = difference(first, second)
    theirs = ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert gap == pytest.approx(np.mean(first) - np.mean(second))
    assert [gap - half, gap + half] == pytest.approx([theirs.low, theirs.high])


def test_equal_seeds_leave_no_spread() -> None:
    assert difference([0.5, 0.5], [0.4, 0.4]) == pytest.approx((0.1, 0.0))


def test_runs_of_other_settings_stay_in_the_file(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[str, int, int]] = []

    def train(backend: str, seed: int, epochs: int, *_: Any) -> dict[str, Any]:
        trained.append((backend, seed, epochs))
        return {"backend": backend, "seed": seed, "accuracy": 0.5}

    monkeypatch.setattr(backends, "train", train)
    file = tmp_path / "runs.json"
    command = ["backends", "--backends", "jax", "torch", "--seeds", "2", "--json", str(file)]
    for epochs in ("1", "2", "1", "2"):
        monkeypatch.setattr("sys.argv", [*command, "--data", str(data / "data"), "--epochs", epochs])
        assert backends.main() == 0
    assert len(trained) == 8, "what is in the file is not done again"
    rows = json.loads(file.read_text())
    assert len(rows) == 8
    assert len({row["of"] for row in rows}) == 2
