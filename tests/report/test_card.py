"""The model card: what hubs index, and what people read."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from candid.errors import CandidError
from candid.report.command import main
from tests.gate.project import CLASSES

CARD = Path("docs/model-card.md")


def test_a_hub_reads_its_front_matter(project):
    main(["--card"])
    data = ModelCard.load(CARD).data
    assert data.license == "apache-2.0"
    assert data.library_name == "keras"
    results = {result.metric_type: result for result in data.eval_results}
    assert set(results) == {"accuracy", "f1", "precision", "recall", "roc_auc"}
    accuracy = results["accuracy"]
    assert (accuracy.dataset_type, accuracy.dataset_split) == ("sample", "test")
    assert accuracy.task_type == "image-classification"
    assert "near-duplicates removed; leak-free" in accuracy.dataset_config
    assert accuracy.metric_name.startswith("Accuracy (95 % interval 0.")
    assert 0.6 < accuracy.metric_value < 0.9


def test_it_says_what_people_should_know(project):
    main(["--card"])
    text = CARD.read_text(encoding="utf-8")
    for expected in (
        "Not for judging people",
        "48 x 48 pixels (grey, uint8)",
        ", ".join(CLASSES),
        "| happy | 100 | 100 | 100 |",
        "adam, learning rate 0.001",
        "Augmentation: flip 0.5.",
        "Made at revision abc123",
        "keras 3.15.1",
        "400 test faces",
        "Licence: Apache-2.0",
    ):
        assert expected in text
    assert "\n\n\n" not in text


def test_it_describes_one_run_and_only_a_dataset_that_can_be_cited(project):
    with pytest.raises(CandidError, match="no experiment"):
        main(["--card", "HEAD"])
    project.params["data"]["dataset"] = "found somewhere"
    project.write_yaml("params.yaml", project.params)
    with pytest.raises(CandidError, match="not in the catalogue"):
        main(["--card"])
