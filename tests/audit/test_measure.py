"""Two sets against each other, what goes, what others read, verdicts, and how well the search says it did."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance, ImageFilter
from skimage import data

from candid.audit.findings import KEEP, NO_GROUP, surplus
from candid.audit.measure import KINDS
from tests.audit.sets import known_set, photo, save
from tests.conftest import refusal


def table(tmp_path: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(tmp_path / "report" / name, keep_default_na=False)


def test_against_says_what_of_the_new_set_is_in_the_old(tmp_path, audit):
    new = save(tmp_path / "new", {"a.png": photo(1), "b.jpg": photo(2), "c.png": photo(3), "d.png": photo(3)})
    old = save(
        tmp_path / "old", {"x/a.png": photo(1), "x/b.png": photo(2), "y/1.png": photo(9), "y/2.png": photo(9)}
    )
    status, numbers, out, err = audit(new, "--against", old, "--max-leak", "1")
    assert (status, numbers["new_images"], numbers["with_copy_in_old"]) == (1, 4, 2)
    assert "new against old" in out
    assert "new leaks" in out
    assert "candid audit: 2 images have a copy across sets; --max-leak allows 1" in err
    pairs = table(tmp_path, "duplicates.csv")
    assert {frozenset(row) for row in pairs[["file_a", "file_b"]].to_numpy().tolist()} == {
        frozenset(row)
        for row in (("new/a.png", "old/x/a.png"), ("new/b.jpg", "old/x/b.png"), ("new/c.png", "new/d.png"))
    }
    assert (tmp_path / "report/remove.txt").read_text().split() == ["a.png", "b.jpg", "d.png"]
    assert audit(new, "--against", old, "--max-leak", "2").status == 0


@pytest.mark.parametrize(("limit", "status"), [("1", 1), ("2", 0)])
def test_a_copy_of_a_test_picture_in_training_is_a_status_for_ci(tmp_path, candid, limit, status):
    known_set(tmp_path / "set")
    options = ["--max-leak", limit, "--plant", "0", "--out", tmp_path / "out"]
    assert candid("audit", tmp_path / "set", *options).status == status


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--max-leak", "0"], "--max-leak has no effect without both train and a test"),
        (["--against", "{}/nowhere"], "nowhere: no such file or folder"),
        (["--judged", "{}/no.csv"], "no.csv: no such file; expected a table file_a,file_b,duplicate"),
        (["--judged", "{}/word.csv"], "word.csv: line 2: duplicate = 'maybe'; expected yes, no or nothing"),
        (["--judged", "{}/twice.csv"], "twice.csv: line 3: 'b' and 'a' are judged yes and no"),
        (["--keep", "oldest"], "--keep oldest needs pictures on disk"),
    ],
)
def test_options_without_effect_and_wrong_verdicts_are_one_line(tmp_path, audit, options, words):
    np.savez(tmp_path / "set.npz", images=np.stack([np.asarray(photo(seed)) for seed in range(2)]))
    (tmp_path / "word.csv").write_text("file_a,file_b,duplicate\na,b,maybe\n")
    (tmp_path / "twice.csv").write_text("file_a,file_b,duplicate\na,b,yes\nb,a,no\n")
    assert words in refusal(audit, tmp_path / "set.npz", *[option.format(tmp_path) for option in options])


def copies(count: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame({
        "file": [f"{i:02}" for i in range(count)], "group": rng.integers(-1, 12, count),
        "label": rng.choice(["", "a", "b", "c"], count), "part": rng.choice(["", "train", "test"], count),
        "side": rng.choice(["new", "old"], count, p=[0.9, 0.1]), "sharpness": rng.random(count),
        "width": rng.integers(1, 5, count), "height": 2, "bytes": rng.integers(1, 9, count),
    })  # fmt: skip


@pytest.mark.parametrize("protect", [(), ("test",), ("test", "train")])
@pytest.mark.parametrize("rule", KEEP)
def test_one_of_each_group_stays_and_nothing_protected_goes(rule, protect):
    images = copies()
    ages = {file: float(i * 7 % 60) for i, file in enumerate(images["file"])}
    removed = surplus(images, rule, protect, ages)
    guarded = images["part"].isin(protect) | (images["side"] == "old")
    assert not removed[guarded | (images["group"] == NO_GROUP)].any()
    best = {"largest": images["width"], "sharpest": images["sharpness"], "oldest": -images["file"].map(ages)}
    for group, rows in images[images["group"] != NO_GROUP].groupby("group"):
        stay, free = rows.index[~removed[rows.index]], rows.index[~guarded[rows.index]]
        if len(free) < len(rows):
            assert set(stay) == set(rows.index) - set(free), group
            continue
        (one,) = stay
        if rule == "majority":
            known = rows["label"][rows["label"] != ""].value_counts()
            assert not len(known) or rows["label"][one] in known.index[known == known.max()]
        else:
            assert best[rule][one] == best[rule][rows.index].max()


def test_the_oldest_file_stays(tmp_path, audit):
    folder = save(tmp_path / "set", {f"{i}.png": photo(1) for i in range(3)})
    for name, age in (("0.png", 300), ("1.png", 100), ("2.png", 200)):
        os.utime(folder / name, (age, age))
    assert audit(folder, "--keep", "oldest").numbers["to_remove"] == 2
    assert (tmp_path / "report/remove.txt").read_text().split() == ["0.png", "2.png"]
    assert dict(table(tmp_path, "groups.csv")[["file", "kept"]].to_numpy()) == {
        "0.png": False, "1.png": True, "2.png": False,
    }  # fmt: skip


def test_issues_are_in_cleanlabs_columns_and_tags_as_fiftyone_reads_them(tmp_path, audit):
    cat = Image.fromarray(data.chelsea())
    coffee, astronaut, rocket = (
        Image.fromarray(each()) for each in (data.coffee, data.astronaut, data.rocket)
    )
    save(tmp_path / "set", {
        "a/plain.png": cat, "b/again.jpg": cat, "b/third.png": cat.resize((300, 200)), "a/coffee.png": coffee,
        "a/dark.png": ImageEnhance.Brightness(cat).enhance(0.2), "a/grey.png": Image.new("L", (300, 200), 90),
        "a/light.png": Image.blend(cat, Image.new("RGB", cat.size, "white"), 0.8),
        "a/blurred.png": astronaut.filter(ImageFilter.GaussianBlur(6)),
        "a/tiny.png": rocket.resize((30, 20)), "a/strip.png": cat.crop((0, 0, 451, 60)),
    })  # fmt: skip
    status, numbers, *_ = audit(tmp_path / "set")
    issues = table(tmp_path, "issues.csv").set_index("file")
    flagged = {kind: issues.index[issues[f"is_{kind}_issue"]].tolist() for kind in numbers["issues"]}
    assert (status, flagged) == (0, {
        "low_information": ["a/grey.png"], "dark": ["a/dark.png"], "light": ["a/light.png"],
        "blurry": ["a/blurred.png"], "odd_size": ["a/tiny.png"], "odd_aspect_ratio": ["a/strip.png"],
    })  # fmt: skip
    assert issues.filter(like="_score").apply(pd.to_numeric).stack().dropna().between(0, 1).all()
    sets = issues["near_duplicate_sets"].map(json.loads)
    assert issues["is_near_duplicate_issue"].tolist() == [bool(each) for each in sets]
    assert all(row in sets.iloc[other] for row, each in enumerate(sets) for other in each)  # symmetric
    assert {"a/plain.png", "b/third.png"} <= set(issues.index[sets["b/again.jpg"]])
    assert issues.index[issues["is_label_issue"]].tolist() == ["b/again.jpg", "b/third.png"]  # 2 of 5 say b

    samples = json.loads((tmp_path / "report/samples.json").read_text())["samples"]
    tags = {Path(each["filepath"]).name: each["tags"] for each in samples}
    assert tags["coffee.png"] == []
    assert {"near_duplicate", "label_conflict"} <= set(tags["again.jpg"])
    assert all((tmp_path / "report" / each["filepath"]).is_file() for each in samples)
    assert {each["ground_truth"]["label"] for each in samples} == {"a", "b"}
    page = (tmp_path / "report/index.html").read_text()
    assert all(
        f"<h2>{title}: 1 picture" in page for title in ("Too dark", "Too bright", "Blurred", "Odd size")
    )


def judge(tmp_path: Path, verdict) -> Path:
    """Fill in judged.csv of the report and keep it elsewhere."""
    rows = table(tmp_path, "judged.csv").to_dict("records")
    kept = tmp_path / "kept.csv"
    with kept.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "duplicate": verdict(row)} for row in rows)
    return kept


def test_verdicts_are_remembered_and_give_the_precision(tmp_path, audit):
    pictures = {f"{i}.png": photo(i) for i in range(4)} | {f"{i}.jpg": photo(i) for i in range(4)}
    folder = save(tmp_path / "set", pictures | {"0 again.png": photo(0)})
    before = audit(folder).numbers
    assert (before["near_pairs"], before["precision"]) == (5, None)
    assert len(table(tmp_path, "judged.csv")) == 4  # exact copies are not drawn twice
    kept = judge(tmp_path, lambda row: "no" if row["file_a"].startswith("0") else "yes")
    after = audit(folder, "--judged", kept).numbers
    assert (after["near_pairs"], after["groups"]) == (3, 4)  # of both exact copies the pair is gone
    assert (after["precision"]["hits"], after["precision"]["cases"]) == (3, 4)
    assert after["precision"]["low"] < 0.75 < after["precision"]["high"]
    assert "judged no" in (tmp_path / "report/index.html").read_text()
    assert (tmp_path / "report/judged.csv").read_text() == kept.read_text().replace("\r", "")
    audit(folder, "--judged", kept, "--min-similarity", "1")  # what is not drawn any more is kept, too
    assert len(table(tmp_path, "judged.csv")) == 4


def test_a_rejected_pair_that_is_judged_the_same_is_accepted(tmp_path, audit):
    folder = save(tmp_path / "set", {"a.png": photo(1), "b.jpg": photo(1)})
    (tmp_path / "kept.csv").write_text("file_a,file_b,duplicate\nb.jpg,a.png,Yes\ngone.png,a.png,no\n")
    strict = ("--min-similarity", "1")
    assert audit(folder, *strict).numbers["near_pairs"] == 0
    assert audit(folder, *strict, "--judged", tmp_path / "kept.csv").numbers["near_pairs"] == 1


def test_planted_copies_give_the_recall_of_each_kind(tmp_path, audit):
    tiles = np.concatenate([
        picture[y : y + 128, x : x + 128][None]
        for picture in (data.astronaut(), data.coffee(), data.chelsea(), data.rocket())
        for y in (0, 128) for x in (0, 128, 256)
    ])  # fmt: skip
    np.savez(tmp_path / "set.npz", images=tiles)
    _, numbers, out, _ = audit(tmp_path / "set.npz", plant=12)
    assert list(numbers["recall"]) == list(KINDS)
    for kind in numbers["recall"].values():
        assert kind["cases"] == 12
        assert 0 <= kind["low"] <= kind["hits"] / 12 <= kind["high"] <= 1
    assert numbers["recall"]["half the size"]["hits"] >= 11
    assert numbers["recall"]["cropped (8 % of each side)"]["hits"] >= 9
    assert "planted copies" in out
    assert "Recall of planted copies" in (tmp_path / "report/index.html").read_text()
    strict = audit(tmp_path / "set.npz", "--min-similarity", "1", plant=12).numbers
    assert sum(kind["hits"] for kind in strict["recall"].values()) < 24
    assert strict["images"] == len(tiles)
