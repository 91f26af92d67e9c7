"""candid evaluate: a saved model on faces that it has seen, on copies of these, and on others."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from candid.backend import use_backend
from candid.evaluation.command import Seen, main, tabulate
from candid.evaluation.report import evaluate
from candid.files import write_csv
from candid.labelled import read_sample
from tests.conftest import REPOSITORY, refusal
from tests.data.made import encoded, face, folder, written

CLASSES = ["angry", "happy", "sad"]
NEW, EXACT, BRIGHTER = 60, 3, 4


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, the data of its run, and a set of new faces, exact copies and brighter copies."""
    use_backend("tensorflow").utils.set_random_seed(0)
    from candid.training.lineage import lineage
    from candid.training.nets import build_model
    from candid.training.save import write_model

    root = tmp_path_factory.mktemp("scene")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPOSITORY)
        parts = read_sample()
    images = parts.images
    seen, new = (
        part["id"][part["label"].isin(CLASSES)].to_numpy()[:NEW] for part in (parts.train, parts.test)
    )
    about = {"classes": CLASSES, "image_size": 48, "color": "grey"}
    net = build_model("hog_svm", classes=3)
    write_model(root / "model.keras", net, *lineage(about, images[seen], None))
    write_model(root / "silent.keras", net, about)
    labels = pd.concat([parts.train, parts.test]).set_index("id")["label"]
    (root / "data").mkdir()
    np.save(root / "data/faces.npy", images[seen])
    table = pd.DataFrame({"id": range(NEW), "label": [labels[number] for number in seen], "source": "x"})
    subjects = [f"sample:{number}" for number in seen]
    write_csv(root / "data/faces.csv", table.assign(dataset="sample", part="", subject=subjects, sequence=""))

    def save(image: Any, number: int, part: str, name: str) -> None:
        written(root / "set" / part / labels[number] / name, encoded(image))

    for number in new:
        save(images[number], number, "train", f"new{number}.png")
    for number in seen[:EXACT]:
        save(images[number], number, "test", f"exact{number}.png")
    for number in seen[EXACT : EXACT + BRIGHTER]:
        brighter = images[number] // 2 + 60
        save(brighter, number, "test", f"brighter{number}.png")
    labels[-1] = "smirk"
    save(images[0], -1, "train", "unknown.png")
    with tarfile.open(root / "set.tar", "w") as archive:
        archive.add(root / "set", "set")
    return root


@pytest.fixture(autouse=True)
def elsewhere(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no data/, which would be taken for that of the model's run."""
    monkeypatch.chdir(scene / "set")


def run(scene: Path, *arguments: str, data: str = "set", model: str = "model") -> None:
    main([str(scene / f"{model}.keras"), str(scene / data), *arguments])


def test_scores_leaks_and_files(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(scene, "--run", str(scene / "data"), "--out", str(tmp_path))
    page = capsys.readouterr().out.replace(str(scene), "").replace(str(tmp_path), "").splitlines()
    assert max(map(len, page)) <= 100
    table = pd.read_csv(tmp_path / "predictions.csv")
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    expected = evaluate(table)
    assert {key: report[key] for key in expected} == expected
    assert len(table) == NEW + EXACT + BRIGHTER
    assert set(table["source"][table["copied"]].str.extract(r"/([a-z]+)\d+\.png")[0]) == {"exact", "brighter"}
    assert table["copied"].sum() == EXACT + BRIGHTER == report["leaked_test_faces"]
    assert any(line.startswith(f"Leaky split: {EXACT + BRIGHTER} of these faces") for line in page)
    assert "left out, of classes that the model does not have: smirk 1" in page
    happy = table["predicted"][table["actual"] == "happy"] == "happy"
    (row,) = (line.split() for line in page if line.startswith("happy") and "%" in line)
    assert (row[1], row[4]) == (str(len(happy)), f"{100 * happy.mean():.1f}")
    counts = pd.crosstab(table["actual"], table["predicted"]).reindex(CLASSES, columns=CLASSES, fill_value=0)
    rows = [line.split() for line in page]
    assert all([name, *map(str, counts.loc[name])] in rows for name in CLASSES)
    names = {"confusion.png", "confusion_precision.png", "mistakes.png", "reliability.png", "roc.png"}
    assert {path.name for path in tmp_path.iterdir()} == names | {"predictions.csv", "report.json"}


@pytest.mark.parametrize(
    ("options", "data", "model", "faces", "copied", "words"),
    [
        ([], "set", "model", 67, EXACT, "copies of the 60 faces that the model has seen; for near-dupl"),
        (["--part", "test"], "set", "model", 7, EXACT, "exact copies of the 60"),
        ([], "set.tar", "model", 67, EXACT, "exact copies of the 60"),
        ([], "set", "silent", 67, 0, "Leaks: unknown, as the model's file does not say"),
    ],
)
def test_what_is_known_of_the_model_decides_what_is_a_leak(
    scene: Path, capsys: pytest.CaptureFixture[str],
    options: list[str], data: str, model: str, faces: int, copied: int, words: str,
) -> None:  # fmt: skip
    run(scene, *options, data=data, model=model)
    page = capsys.readouterr().out
    assert words in page
    assert f": {faces} faces" in page
    assert page.count("Leaky split: ") == bool(copied) == page.count(f"split: {copied} of these faces")


def test_the_subject_of_a_face_that_was_seen_is_a_leak(scene: Path) -> None:
    images = np.load(scene / "data/faces.npy")[:4] // np.array([1, 1, 9, 1], np.uint8)[:, None, None]
    faces = pd.DataFrame({"id": range(4), "source": "x", "dataset": "d", "sequence": "", "label": "sad"})
    faces = faces.assign(subject=["d:a", "d:b", "d:b", "d:a"])
    seen = Seen(images[3:], faces[3:], "")
    test = tabulate(faces[:3], images[:3], scene / "silent.keras", seen)
    assert test["leaked"].tolist() == [True, False, False]
    assert not test["copied"].any()
    assert test["group"].nunique() == 2


@pytest.mark.parametrize(
    ("model", "data", "words"),
    [
        ("model.keras", "nowhere", "no such folder, zip or tar; expected one, or a dataset: sample, fer"),
        ("model.keras", "strange", "faces of smirk; expected some of angry, happy, sad"),
        ("none.keras", "set", "none.keras: no such file"),
        ("set.tar", "set", "expected a model of train"),
    ],
)
def test_what_is_wrong_is_one_line(scene: Path, model: str, data: str, words: str) -> None:
    folder(scene / "strange/smirk", dict.fromkeys(["a.png", "b.png"], face()))
    assert words in refusal(main, [str(scene / model), str(scene / data)])
