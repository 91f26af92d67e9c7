"""A run that is cut short and started again ends with the bits of an undisturbed one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from candid.training.checkpoints import Checkpoints, Progress
from candid.training.save import write_model
from candid.training.schedules import Plateau
from tests.training import tiny_net
from tests.training.tiny_net import train


class CutShort(BaseException):
    """Stands for SIGKILL: nothing may catch it, and what is on disk is the same."""


def everything_on() -> Any:
    """Settings under which every kind of state matters: moments, averages, counters, streams, two phases."""
    return tiny_net.settings(
        {"flip": 0.5, "rotation": {"degrees": 20.0, "probability": 1.0}},
        epochs=6,
        schedule="plateau",
        plateau={"monitor": "val_accuracy", "patience": 1, "factor": 0.5},
        early_stopping={"monitor": "val_accuracy", "patience": 4},
        mixup=0.2,
        averaging=0.8,
        freeze_epochs=2,
        learning_rate=0.03,
        thaw_learning_rate=0.02,
    )


def run(folder: Path, settings: Any, cut_after: int | None = None) -> tuple[bytes, pd.DataFrame] | None:
    """Train in `folder`; None when it was cut short after the line of an epoch."""

    def say(line: str) -> None:
        if line.startswith(f"epoch {cut_after}/"):
            raise CutShort

    data = tiny_net.faces(wrong=4)
    keras.backend.clear_session()  # as in a new process, layers are named from the start
    try:
        net, history = train(
            tiny_net.build, data, settings, Checkpoints(folder), tiny_net.body_layers, say=say
        )
    except CutShort:
        return None
    write_model(folder / "model.keras", net, {})
    return (folder / "model.keras").read_bytes(), history


def test_cut_after_several_epochs_and_resumed_it_ends_with_equal_bits(tmp_path):
    settings = everything_on()
    undisturbed = run(tmp_path / "whole", settings)
    assert undisturbed is not None
    assert undisturbed[1]["learning_rate"].nunique() > 2  # the plateau acted
    for cut in (1, 2, 4):  # in the frozen phase, at its end, in the thawed phase
        assert run(tmp_path / "cut", settings, cut) is None
    resumed = run(tmp_path / "cut", settings)
    assert resumed is not None
    assert resumed[0] == undisturbed[0]
    pd.testing.assert_frame_equal(resumed[1], undisturbed[1])


def test_cut_with_a_cosine_schedule(tmp_path):
    settings = tiny_net.settings(
        schedule="cosine", warmup_epochs=1, epochs=4, optimizer="adamw", weight_decay=0.01
    )
    undisturbed = run(tmp_path / "whole", settings)
    assert run(tmp_path / "cut", settings, 2) is None
    assert run(tmp_path / "cut", settings, None)[0] == undisturbed[0]  # type: ignore[index]


def test_killed_after_the_last_epoch_only_the_writing_is_left(tmp_path):
    settings = tiny_net.settings(epochs=2)
    assert run(tmp_path / "cut", settings, 2) is None
    kept = shutil.copytree(tmp_path / "cut", tmp_path / "kept")
    first = run(kept, settings)
    lines: list[str] = []
    train(tiny_net.build, tiny_net.faces(), settings, Checkpoints(tmp_path / "cut"), say=lines.append)
    assert lines == ["going on after epoch 2"]
    assert first is not None


def some_progress(best_epoch: int) -> Progress:
    return Progress(Plateau(0.1), epoch=best_epoch, best=0.5, best_epoch=best_epoch)


def arrays(value: float) -> list[Any]:
    return [np.full((3, 2), value, np.float32), np.array(7, np.int64)]


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    kept = Checkpoints(tmp_path)
    progress = some_progress(1)
    progress.history.append({"epoch": 1, "loss": 0.1 + 0.2})
    kept.write(progress, lambda: arrays(1), lambda: arrays(2), arrays(3))
    saved = Checkpoints(tmp_path).read()
    assert saved is not None
    assert saved.progress == progress
    for found, value in ((saved.weights, 1), (saved.optimizer, 2), (saved.best, 3)):
        assert [array.dtype for array in found] == [np.float32, np.int64]
        assert all(np.array_equal(a, b) for a, b in zip(found, arrays(value), strict=True))


def test_only_the_best_weights_in_use_are_kept(tmp_path):
    kept = Checkpoints(tmp_path)
    for epoch in (1, 2, 3):
        kept.write(some_progress(epoch), lambda: arrays(0), lambda: [], arrays(epoch))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best-3.npz", "state.npz"]


def test_cut_between_its_two_files_the_earlier_checkpoint_holds(tmp_path, monkeypatch):
    kept = Checkpoints(tmp_path)
    kept.write(some_progress(1), lambda: arrays(1), lambda: [], arrays(1))

    def cut() -> list[Any]:
        raise CutShort

    with pytest.raises(CutShort):
        kept.write(some_progress(2), cut, lambda: [], arrays(2))
    saved = Checkpoints(tmp_path).read()
    assert saved is not None
    assert saved.progress.epoch == 1
    assert saved.best[0][0, 0] == 1


@pytest.mark.parametrize("name", ["state.npz", "best-1.npz"])
@pytest.mark.parametrize("damage", ["gone", "empty", "short", "flipped"])
def test_a_damaged_checkpoint_counts_as_none(tmp_path, name, damage):
    kept = Checkpoints(tmp_path)
    kept.write(some_progress(1), lambda: arrays(1), lambda: arrays(2), arrays(3))
    path = tmp_path / name
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "short":
        path.write_bytes(content[: len(content) // 2])
    else:
        content[content.index(b"\x93NUMPY") + 130] ^= 0xFF  # a byte of the first array; the zip holds its CRC
        path.write_bytes(content)
    assert Checkpoints(tmp_path).read() is None


def test_dear_checkpoints_are_written_less_often(tmp_path, monkeypatch):
    clock = iter([0.0, 2.0, 2.0, 10.0, 50.0, 50.1])  # start and end of the first; at the second; ...
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    kept = Checkpoints(tmp_path)
    for epoch in (1, 2, 3):  # took 2 s, so none before 40 s have passed
        kept.write(some_progress(epoch), lambda: arrays(0), lambda: [], arrays(epoch))
        saved = kept.read()
        assert saved is not None
        assert saved.progress.epoch == {1: 1, 2: 1, 3: 3}[epoch]
