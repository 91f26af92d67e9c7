"""A running demo of two models, and of a file that is none."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from candid.demo.command import PredictionService, Server
from candid.predict.command import main
from tests.predict.predict_pictures import astronaut, encoded
from tests.predict.tiny_model import write_tiny


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    (folder / "text.keras").write_text("no model")
    one = write_tiny(folder / "one.keras", size=48, flat=True)
    return [one, folder / "text.keras", write_tiny(folder / "two.keras", size=40, flat=True)]


@pytest.fixture(scope="session")
def server(models: list[Path]) -> Iterator[Server]:
    with Server(0, PredictionService(models)) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    path.write_bytes(encoded(astronaut(), "JPEG", quality=95))
    return path


@pytest.fixture(scope="session")
def predicted(models: list[Path], photo: Path) -> dict[str, str]:
    """The row of candid.predict for the photo and the first model."""
    out = photo.parent / "out"
    main([str(photo), "--model", str(models[0]), "--out", str(out)])
    with (out / "predictions.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    return row
