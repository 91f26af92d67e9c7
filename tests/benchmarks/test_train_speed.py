from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import train


def test_a_cut_keeps_the_nets_that_were_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(name: str, *_: Any) -> dict[str, float]:
        if name == "vgg19":
            raise KeyboardInterrupt
        return {"shipped": 100.0}

    monkeypatch.setattr(train, "matrix_rate", lambda precision: 1e9)
    command = [
        "train",
        "--nets",
        "resnet18",
        "vgg19",
        "--batch",
        "256",
        "--json",
        str(tmp_path / "found.json"),
    ]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(KeyboardInterrupt):
        train.each_net("", measure)
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["nets"] == {"resnet18": {"shipped": 100.0}}
    assert found["batch"] == 256
    assert found["made"]["device"]["processor"]
    assert found["made"]["versions"]["keras"]
