"""The report's page: what it holds, and that it stands alone."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from candid.compare.measured import draw
from candid.errors import CandidError
from candid.gate.revisions import WorkingTree
from candid.report.command import main
from candid.report.runs import read_run
from candid.report.style import CSS
from candid.report.svg import Chart, ticks
from tests.commands.gate_project import CLASSES, Project, faces, worse
from tests.commands.report_project import reported

VOID = {"meta", "link", "img", "br"}


class Reader(HTMLParser):
    """Collects what a test asks about, and checks that tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    return reported(tmp_path)


def report(*arguments: str) -> tuple[str, Reader]:
    main(list(arguments))
    text = Path("report/index.html").read_text(encoding="utf-8")
    return text, Reader(text)


def said(reader: Reader) -> str:
    return " ".join("".join(reader.words).split()).replace("\u00a0", " ")


def test_it_says_what_was_asked_what_there_was_and_what_came_out(project: Project) -> None:
    _, reader = report()
    words = said(reader)
    for expected in (
        "random 80/10/10; subject kept together; near-duplicates removed",
        "basic_cnn, from scratch",
        "flip 0.5",
        "split 3, train 5",
        "900 faces read; 7 files could not be read and 2 were left out",
        "61 faces (7.0 %) have a copy: 11 exact pairs and 22 near ones, in 30 groups, the largest of 4",
        "3 groups carry more than one label (8 faces)",
        "3 epochs; the weights of epoch 2 were kept",
        "400 test faces",
        "always answering happy is right on",
        "archsbasic_cnn.dropout0.3",
        "git checkout abc123abc123 && dvc repro",
        "A <b>CPU</b>, 2 cores",
    ):
        assert expected in words or expected in words.replace(" ", "")
    for heading in ("What was asked", "Data", "Training", "Results", "Mistakes", "Compared with"):
        assert heading in words


def test_its_numbers_are_those_of_the_predictions(project: Project) -> None:
    run = read_run(WorkingTree(Path()))
    table = faces()
    expected = confusion_matrix(table["actual"], table["predicted"], labels=list(CLASSES))
    assert np.array_equal(run.counts, expected)
    low, high = run.f1_bounds.T
    f1 = [run.metrics["per_class"][name]["f1"] for name in CLASSES]
    assert (low < f1).all()
    assert (f1 < high).all()
    _, reader = report()
    words = said(reader)
    assert f"{100 * run.metrics['accuracy']:.1f} %" in words
    for name, row in zip(CLASSES, expected, strict=True):
        assert f"{name} {' '.join(f'{100 * n / row.sum():.0f} {n}' for n in row)}".replace(" ", "") in (
            words.replace(" ", "")
        )


def test_intervals_of_the_classes_are_those_that_compare_tells(project: Project) -> None:
    """Also where groups are few, and where no resample has a mistake."""
    table = faces(60, right=0.8, group=10)
    table.loc[table["actual"] == "angry", "predicted"] = "angry"
    table.loc[(table["actual"] != "angry") & (table["predicted"] == "angry"), "predicted"] = "sad"
    project.results(table)
    run = read_run(WorkingTree(Path()))
    drawn = draw(run.results.faces.assign(**{f"p_{name}": 0 for name in CLASSES}))
    assert run.f1_bounds.tolist() == [list(drawn.bounds(f"per_class.{name}.f1") or ()) for name in CLASSES]
    low, high = run.f1_bounds[CLASSES.index("angry")]
    assert low < 0.99
    assert high == 1


def test_it_stands_alone(project: Project) -> None:
    text, reader = report()
    assert not reader.all("script")
    assert "default-src 'none'" in text
    sources = [tag.get("src") or "" for tag in reader.all("img")] + [
        tag["href"] or "" for tag in reader.all("link")
    ]
    assert all(source.startswith("data:") for source in sources)
    assert "url(" not in CSS
    assert "@import" not in CSS
    targets = {attributes["id"] for _, attributes in reader.tags if "id" in attributes}
    links = [tag["href"] or "" for tag in reader.all("a")]
    assert links
    assert all(link.startswith("#") and link[1:] in targets for link in links)


def test_it_can_be_read_without_seeing_it(project: Project) -> None:
    _, reader = report()
    assert reader.all("html")[0]["lang"] == "en"
    assert all(tag["alt"] for tag in reader.all("img"))
    assert all(tag.get("aria-label") or tag.get("aria-hidden") for tag in reader.all("svg"))
    assert len(reader.all("caption")) == len(reader.all("table"))
    assert all(tag["scope"] in ("col", "row") for tag in reader.all("th"))
    assert [name for name, _ in reader.tags].count("h1") == 1


def _luminance(colour: tuple[float, ...]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
def test_contrast_is_that_of_wcag_aa_by_day_and_by_night(theme: int) -> None:
    block = re.findall(r":root \{(.*?)\}", CSS, re.S)[theme]
    found = dict(re.findall(r"--(\w[\w-]*): #([0-9a-f]{6})", block))
    colour = {
        name: tuple(int(value[i : i + 2], 16) / 255 for i in (0, 2, 4)) for name, value in found.items()
    }
    for text, ground in [
        ("ink", "bg"),
        ("ink", "soft"),
        ("muted", "bg"),
        ("muted", "soft"),
        ("accent", "bg"),
    ]:
        assert _contrast(colour[text], colour[ground]) >= 4.5
    for kind in ("good", "bad"):
        assert _contrast(colour[kind], colour[f"{kind}-bg"]) >= 4.5
    for number in range(8):
        assert _contrast(colour[f"c{number}"], colour["bg"]) >= 3
    for tone in ("accent", "wrong"):
        fullest = tuple(0.48 * t + 0.52 * s for t, s in zip(colour[tone], colour["soft"], strict=True))
        assert _contrast(colour["ink"], fullest) >= 4.5


def test_it_is_compared_with_the_results_before(project: Project) -> None:
    assert "No earlier results in git" in said(report()[1])
    project.results(worse(faces(), 60))
    words = said(report()[1])
    assert "gate: regression against HEAD" in words
    assert "60 faces lost, 0 gained" in words
    project.commit()
    assert "gate: regression against" in said(report()[1])
    project.results(faces().assign(dataset="fer2013"))
    assert "Not compared with HEAD: another dataset" in said(report()[1])


def test_experiments_stand_beside_it_each_with_its_protocol(project: Project) -> None:
    first = project.git("rev-parse", "HEAD")
    project.git("update-ref", f"refs/exps/{first[:2]}/{first[2:]}/tidy-newt", first)
    project.params["split"]["seed"] = 4
    project.params["dedup"]["policy"] = "off"
    (project.root / "metrics/dedup.json").unlink()
    project.results(worse(faces(), 4), leaky=True)
    text, reader = report("tidy-newt")
    words = said(reader)
    assert "tidy-newt: basic_cnn, from scratch" in words
    assert "near-duplicates left as they are; leaky: 400 test faces have relatives in train" in words
    assert "near-duplicates removed; clean" in words
    assert "split.seed 4 3" in re.sub(r"\s+", " ", " ".join(reader.words))
    told = re.search(r"the split of this tree is leaky, that of tidy-newt clean(.)", words)
    assert told, "a leaky run and a clean one are not paired"
    assert told[1] != ":", "the cell holds the reason, not all of the line"
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    project.results(faces().assign(dataset="fer2013"))
    words = said(report("tidy-newt")[1])
    assert "another dataset" in words
    assert "other faces" not in words


def test_large_files_come_from_dvc_s_cache_or_are_said_to_be_away(project: Project) -> None:
    sheet = (project.root / "plots/mistakes.png").read_bytes()
    lock = project.root / "dvc.lock"
    md5 = project.md5("plots/mistakes.png")
    lock.write_text(
        lock.read_text().replace(
            "    - path: plots/predictions.csv",
            f"    - path: plots/mistakes.png\n      md5: {md5}\n    - path: plots/predictions.csv",
        )
    )
    assert md5 in lock.read_text()
    (project.root / "plots/mistakes.png").unlink()
    (project.root / "plots/history.csv").unlink()
    words = said(report()[1])
    assert "plots/mistakes.png is neither in this revision nor in DVC's cache" in words
    assert "The training curves (plots/history.csv) are neither" in words
    cached = project.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    cached.parent.mkdir(parents=True)
    cached.write_bytes(sheet)
    assert "The most confident mistakes." in said(report()[1])
    assert "Left out: this page was made without faces." in said(report("--no-faces")[1])


def test_what_a_run_did_not_keep_is_said(project: Project) -> None:
    for name in ("ingest", "dedup", "split", "provenance"):
        (project.root / f"metrics/{name}.json").unlink()
    words = said(report()[1])
    assert "keeps no counts of its data" in words
    assert "does not say what made it" in words


def test_a_run_without_results_is_one_line(project: Project) -> None:
    (project.root / "plots/predictions.csv").unlink()
    with pytest.raises(CandidError, match=r"no plots/predictions\.csv"):
        main([])
    project.results(faces())
    project.write("metrics/split.json", "{")
    with pytest.raises(CandidError, match=r"metrics/split\.json: not JSON"):
        main([])
    project.write("metrics/split.json", "{}")
    project.write("plots/history.csv", "time\n1\n")
    with pytest.raises(CandidError, match="no column 'epoch'"):
        main([])


def test_ticks_are_round_and_within() -> None:
    assert ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(1, 30, most=6) == [5, 10, 15, 20, 25, 30]
    assert ticks(2, 2) == [2]
    for low, high in ((0.13, 0.74), (-3, 1e6), (1e-6, 3e-6)):
        found = ticks(low, high)
        assert 2 <= len(found) <= 6
        assert low <= found[0] < found[-1] <= high * (1 + 1e-9)


def test_a_line_leaves_a_gap_where_there_is_no_number() -> None:
    chart = Chart((0, 3), (0, 1), label="a <label>")
    chart.line([(0, 0.1), (1, float("nan")), (2, 0.3), (3, 0.4)], "c0")
    drawn = chart.svg()
    assert drawn.count("M") == 2
    assert drawn.count("L") == 1
    assert "a &lt;label&gt;" in drawn
