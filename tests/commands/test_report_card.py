"""The model card: what hubs index, and what people read."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from candid.errors import CandidError
from candid.report.command import main
from tests.commands.gate_project import CLASSES, Project
from tests.commands.report_project import reported

CARD = Path("docs/model-card.md")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    made = reported(tmp_path)
    main(["--card"])
    return made


def test_a_hub_reads_its_front_matter(project: Project) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="comes with keras-hub; without it no hub to ask")
    card = hub.ModelCard.load(CARD)
    assert card.data.license == "apache-2.0"
    assert card.data.library_name == "keras"
    results = {result.metric_name.split(" (")[0]: result for result in card.data.eval_results}
    assert set(results) == {
        "Accuracy",
        "Macro F1",
        "Macro precision",
        "Macro recall",
        "Macro AUC, one against the rest",
    }
    assert results["Accuracy"].dataset_type == "sample"
    assert results["Accuracy"].task_type == "image-classification"
    assert 0.6 < results["Accuracy"].metric_value < 0.9


def test_front_matter_is_plain_yaml_with_a_model_index(project: Project) -> None:
    _, front, _ = CARD.read_text(encoding="utf-8").split("---\n", 2)
    value = YAML(typ="safe", pure=True).load(front)
    (entry,) = value["model-index"]
    (result,) = entry["results"]
    assert result["dataset"]["split"] == "test"
    assert "near-duplicates removed; clean" in result["dataset"]["config"]
    assert [metric["type"] for metric in result["metrics"]] == [
        "accuracy",
        "f1",
        "precision",
        "recall",
        "roc_auc",
    ]
    assert "95 % interval 0." in result["metrics"][0]["name"]


def test_it_says_what_people_should_know(project: Project) -> None:
    text = CARD.read_text(encoding="utf-8")
    for expected in (
        "Not for judging people",
        "48 x 48 pixels (grey, uint8)",
        ", ".join(CLASSES),
        "| happy | 100 | 100 | 100 |",
        "adam, learning rate 0.001 (constant)",
        "Augmentation: flip 0.5.",
        "Made at revision abc123",
        "400 test faces",
        "Licence: Apache-2.0",
    ):
        assert expected in text


def test_it_describes_one_run_and_only_a_dataset_that_can_be_cited(project: Project) -> None:
    with pytest.raises(CandidError, match="no experiment"):
        main(["--card", "HEAD"])
    project.params["data"]["dataset"] = "found somewhere"
    project.write_yaml("params.yaml", project.params)
    with pytest.raises(CandidError, match="not in the catalogue"):
        main(["--card"])
