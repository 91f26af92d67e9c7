"""Prediction takes the same bad archives and folders: a table, or one clear line, and nothing elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from candid.backend import use_backend
from candid.predict.classifier import Classifier, load_classifier
from candid.predict.command import main
from tests.predict.predict_pictures import make_model
from tests.reliability.corpus import Case
from tests.reliability.test_corpus_audit import GIVEN, ends_well


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    use_backend("tensorflow")
    return load_classifier(make_model(tmp_path_factory.mktemp("model") / "tiny.keras"))


@pytest.mark.parametrize("case", GIVEN, ids=lambda case: case.name)
def test_it_ends_with_a_table_or_in_one_line(
    case: Case, classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("candid.predict.command.load_classifier", lambda *_: classifier)
    arguments = ["--already-cropped", "--out", "results"]
    ends_well(case, main, arguments, "results/predictions.csv", tmp_path, monkeypatch)
