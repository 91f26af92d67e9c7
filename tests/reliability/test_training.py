"""What training owes to its seed alone, and early stopping that spans a kill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from candid.training.checkpoints import Checkpoints, NoCheckpoints
from candid.training.save import write_model
from tests.training import tiny_net

EVERYTHING_RANDOM: dict[str, Any] = {"mixup": 0.2, "epochs": 2}
AUGMENT = {"flip": 0.5, "rotation": {"degrees": 20.0, "probability": 1.0}}


class CutShort(BaseException):
    """Stands for SIGKILL."""


def trained(folder: Path, seed: int, moved: int) -> tuple[list[Any], bytes]:
    """Initial weights and the bytes of the model, after other random draws in the same process."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(moved)
    np.random.default_rng(moved).random(moved)
    initial: list[Any] = []

    def build() -> Any:
        net = tiny_net.build()
        initial.extend(net.get_weights())
        return net

    settings = tiny_net.settings(AUGMENT, seed=seed, **EVERYTHING_RANDOM)
    net, _ = tiny_net.train(build, tiny_net.faces(), settings, NoCheckpoints(), say=lambda _: None)
    write_model(folder / "model.keras", net, {})
    return initial, (folder / "model.keras").read_bytes()


def test_the_seed_and_nothing_else_decides_initial_weights_and_all_that_follows(tmp_path: Path) -> None:
    first, again, other = trained(tmp_path, 0, 1), trained(tmp_path, 0, 2), trained(tmp_path, 1, 1)
    assert all(map(np.array_equal, first[0], again[0]))
    assert first[1] == again[1]
    assert not all(map(np.array_equal, first[0], other[0]))
    assert first[1] != other[1]


@pytest.mark.parametrize("cut", [2, 3, 4])
def test_early_stopping_counts_on_after_a_kill(tmp_path: Path, cut: int) -> None:
    """With a rate of nearly nothing no epoch is better than the first."""
    settings = tiny_net.settings(
        epochs=12, learning_rate=1e-6, early_stopping={"monitor": "val_accuracy", "patience": 4}
    )

    def run(folder: Path, cut: int | None = None) -> tuple[bytes, int] | None:
        def say(line: str) -> None:
            if line.startswith(f"epoch {cut}/"):
                raise CutShort

        keras.backend.clear_session()
        try:
            net, history = tiny_net.train(
                tiny_net.build, tiny_net.faces(), settings, Checkpoints(folder), say=say
            )
        except CutShort:
            return None
        write_model(folder / "model.keras", net, {})
        return (folder / "model.keras").read_bytes(), len(history)

    undisturbed = run(tmp_path / "whole")
    assert undisturbed is not None
    assert undisturbed[1] < 12
    assert run(tmp_path / "cut", cut) is None
    assert run(tmp_path / "cut") == undisturbed
