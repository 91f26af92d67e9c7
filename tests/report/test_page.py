"""The report's page and the model card: what they hold, and that the page stands alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from sklearn.metrics import confusion_matrix

from candid.errors import CandidError
from candid.gate.results import Revision
from candid.html import render
from candid.report.command import main
from candid.report.run import read_run
from tests.gate.project import CLASSES, faces, worse
from tests.page import Reader


def report(*arguments: str) -> tuple[str, Reader]:
    main(list(arguments))
    text = Path("report/index.html").read_text(encoding="utf-8")
    return text, Reader(text)


def test_it_says_what_was_set_what_there_was_and_what_came_out(project):
    _, reader = report()
    for expected in (
        "random 80/10/10; subject kept together; near-duplicates removed",
        "basic_cnn, from scratch",
        "flip 0.5",
        "split 3, train 5",
        "900 faces read; 7 files could not be read and 2 were left out",
        "61 faces (7.0 %) have a copy: 11 exact pairs and 22 near ones, in 30 groups, the largest of 4",
        "3 groups carry more than one label (8 faces)",
        "No test face has a related image",
        "3 epochs",
        "400 test faces",
        "always answering happy is right on",
        "git checkout abc123abc123 && dvc repro",
        "A <b>CPU</b>",
        "Compared with",
    ):
        assert expected in reader.text
    assert "archs.basic_cnn.dropout: 0.3" in reader.text


def test_its_numbers_are_those_of_the_predictions(project):
    run = read_run(Revision(Path()))
    table = faces()
    counts = confusion_matrix(table["actual"], table["predicted"], labels=list(CLASSES))
    off = {(CLASSES[a], CLASSES[p]): int(counts[a, p]) for a in range(3) for p in range(3) if a != p}
    (actual, predicted), most = max(off.items(), key=lambda entry: entry[1])
    assert run.worst_confusions()[0] == f"{actual} taken for {predicted} ({most} faces)"
    _, reader = report()
    assert f"{100 * run.scores['accuracy']:.1f} %" in reader.text
    for name, bounds in run.f1_bounds().items():
        f1 = run.scores["per_class"][name]["f1"]
        assert bounds is not None
        assert bounds[0] < f1 < bounds[1]
        assert f"{100 * f1:.1f} % ({100 * bounds[0]:.1f} to {100 * bounds[1]:.1f})" in reader.text
    # groups are few and no resample has a mistake
    table = faces(60, right=0.8, group=10)
    table.loc[table["actual"] == "angry", "predicted"] = "angry"
    table.loc[(table["actual"] != "angry") & (table["predicted"] == "angry"), "predicted"] = "sad"
    project.results(table)
    bounds = read_run(Revision(Path())).f1_bounds()["angry"]
    assert bounds is not None
    assert bounds[0] < 0.99
    assert bounds[1] == 1


def test_it_stands_alone_and_can_be_read_without_seeing_it(project):
    text, reader = report()
    assert not reader.all("script")
    assert "default-src 'none'" in text
    sources = [tag["src"] or "" for tag in reader.all("img")]
    assert len(sources) == 8
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert all((tag["href"] or "").startswith("data:") for tag in reader.all("link"))
    assert not re.search(r"url\(|@import", text)
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    links = [tag["href"] or "" for tag in reader.all("a")]
    assert links
    assert all(link.startswith("#") and link[1:] in ids for link in links)
    assert reader.all("html")[0]["lang"] == "en"
    assert all(tag["alt"] for tag in reader.all("img"))
    assert len(reader.all("caption")) == len(reader.all("table"))
    assert all(tag["scope"] in ("col", "row") for tag in reader.all("th"))
    assert [name for name, _ in reader.tags].count("h1") == 1


def _luminance(colour: str) -> float:
    shares = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1])
def test_contrast_is_that_of_wcag_aa_by_day_and_by_night(theme):
    block = re.findall(r":root \{(.*?)\}", render("base.html", title="x"), re.S)[theme]
    colours = dict(re.findall(r"--(\w[\w-]*): #([0-9a-f]{6})", block))
    pairs = [("ink", "bg"), ("ink", "soft"), ("muted", "bg"), ("muted", "soft"), ("accent", "bg")]
    for text, ground in (*pairs, ("good", "good-bg"), ("bad", "bad-bg")):
        dark, light = sorted((_luminance(colours[text]), _luminance(colours[ground])))
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_it_is_compared_with_the_results_before(project):
    assert "No earlier results in git" in report()[1].text
    project.results(worse(faces(), 60))
    text = report()[1].text
    assert "gate: regression against HEAD" in text
    assert "60 faces lost, 0 gained" in text
    project.commit()
    assert "gate: regression against" in report()[1].text
    project.results(faces().assign(dataset="fer2013"))
    assert "Not compared with HEAD: other datasets" in report()[1].text


def test_experiments_stand_beside_it_each_with_its_protocol(project):
    first = project.git("rev-parse", "HEAD")
    project.git("update-ref", f"refs/exps/{first[:2]}/{first[2:]}/tidy-newt", first)
    project.params["split"]["seed"] = 4
    project.params["dedup"]["policy"] = "off"
    (project.root / "metrics/dedup.json").unlink()
    project.results(worse(faces(), 4), leaky=True)
    text, reader = report("tidy-newt")
    assert "tidy-newt: basic_cnn, from scratch" in reader.text
    assert "near-duplicates left as they are; leaky: 400 test faces have related images" in reader.text
    assert "near-duplicates removed; leak-free" in reader.text
    assert "split.seed 4 3" in re.sub(r"\s+", " ", " ".join(reader.words))
    assert re.search(r"other splits: leaky in this tree, leak-free in tidy-newt[^;]", reader.text)
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    project.results(worse(faces(), 4))
    text = report("tidy-newt")[1].text
    assert "points, McNemar p = 0.12" in text


def test_large_files_come_from_dvc_s_cache_or_are_said_to_be_away(project):
    sheet = project.root / "plots/mistakes.png"
    project.dvc("add", "-q", "plots/mistakes.png")
    sheet.unlink()
    assert "The most confident mistakes." in report()[1].text
    (project.root / "plots/mistakes.png.dvc").unlink()
    (project.root / "plots/curves.png").unlink()
    text = report()[1].text
    assert "plots/mistakes.png is neither in this revision nor in DVC's cache" in text
    assert "plots/curves.png is neither" in text
    page = report("--no-faces")[1]
    assert "Left out: this page was made without faces." in page.text
    assert "what augmentation makes" not in page.text


def test_what_a_run_did_not_keep_is_said(project):
    kept = [f"metrics/{name}.json" for name in ("ingest", "dedup", "split", "provenance")]
    for path in kept:
        (project.root / path).unlink()
    text = report()[1].text
    assert "keeps no counts of its data" in text
    assert "does not say what made it" in text
    for path in kept:
        project.write(path, '{"faces": "many", "versions": {}, "train": null, "groups": [1]}')
    assert "– faces read" in report()[1].text
    project.write("metrics/split.json", "{")
    with pytest.raises(CandidError, match=r"metrics/split\.json: not JSON"):
        main([])
    (project.root / "plots/predictions.csv").unlink()
    (project.root / "metrics/split.json").unlink()
    with pytest.raises(CandidError, match=r"no plots/predictions\.csv"):
        main([])


def test_a_name_is_text_and_nothing_else(project):
    forged = "<script>alert(1)</script>\u202e"
    project.params["class_weights"]["scheme"] = "\ud800"
    project.results(faces().replace({"sad": forged}), ("angry", "happy", forged))
    text, reader = report()
    assert not reader.all("script")
    assert "<script>alert(1)</script>\\u202e" in reader.text
    assert "\u202e" not in text


CARD = Path("report/model-card.md")


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
