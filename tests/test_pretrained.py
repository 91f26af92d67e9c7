"""The model that comes with the project: small, ours, plain, and as good as is said of it."""

from __future__ import annotations

import io
import json
import shlex
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from sklearn.metrics import f1_score

from candid import pretrained
from candid.backend import use_backend
from candid.compare.measured import differences
from candid.data.catalogue import read_catalogue
from candid.data.faces import LABELS
from candid.data.ingest import READERS, assemble
from candid.data.readers import Record, Wanted
from candid.errors import CandidError
from candid.evaluation.model_file import load_model_file, read_card
from candid.evaluation.predict import predict
from candid.files import md5, write_json
from candid.pretrained import MAX_BYTES, half, main, pack
from candid.recipes.load import flat
from candid.settings import read_yaml
from tests.gate.project import Project, faces
from tests.predict.tiny_model import CLASSES, SIZE, write_data, write_tiny

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = {name: ROOT / f"models/pretrained/{name}.keras" for name in ("fer2013", "ferplus")}
IMAGES = np.random.default_rng(0).integers(0, 256, (9, SIZE, SIZE), np.uint8)


def load(path: Path):
    use_backend("tensorflow")
    return load_model_file(path)[0]


@pytest.fixture(scope="module", params=[*SHIPPED.values()], ids=[*SHIPPED])
def shipped(request):
    return request.param


@pytest.fixture(scope="module")
def about(shipped):
    return json.loads(shipped.with_suffix(".json").read_text(encoding="utf-8"))


def test_the_shipped_file_is_small_the_one_described_and_computes_in_float32(shipped, about):
    assert shipped.stat().st_size <= MAX_BYTES == 8_000_000
    assert (about["bytes"], about["md5"]) == (shipped.stat().st_size, md5(shipped))
    assert read_card(shipped).classes == about["classes"] == list(LABELS[:7])
    model = load(shipped)
    images = np.random.default_rng(0).integers(0, 256, (5, 48, 48), np.uint8)
    assert np.allclose(predict(model, images, np.arange(5), "none").sum(axis=1), 1, atol=1e-5)
    assert {str(weight.dtype) for weight in model.weights if "seed" not in weight.path} == {"float32"}
    assert model.dtype_policy.name == "float32"


def test_its_card_gives_the_numbers_of_the_json(shipped, about):
    page = shipped.with_suffix(".md").read_text(encoding="utf-8")
    scores = about["metrics"]["none"]
    low, high = 100 * scores["accuracy_low"], 100 * scores["accuracy_high"]
    assert f"{100 * scores['accuracy']:.1f}\u00a0% ({low:.1f} to {high:.1f})" in page
    author = {"fer2013": "Goodfellow", "ferplus": "Barsoum"}[shipped.stem]
    stated = (about["md5"], about["command"], about["commit"][:12], author, "rights in the pictures")
    assert all(text in page for text in stated)


def test_dvc_takes_the_command_of_its_card(about, tmp_path):
    from dvc.utils.hydra import apply_overrides

    file = shutil.copy(ROOT / "params.yaml", tmp_path)
    apply_overrides(str(file), shlex.split(about["command"].replace("\\\n", ""))[4::2])
    trained, changed = flat(about["settings"]), flat(read_yaml(file))
    own = [key for key in trained if not key.startswith("archs.") or key.startswith("archs.plain_cnn.")]
    assert not differences(changed, {key: trained[key] for key in own})


@pytest.mark.data
def test_it_is_as_good_as_is_said_of_it(shipped, about, mirror):
    """Scores on PrivateTest, from the shipped file and the published archive."""
    entry, tested = read_catalogue()[shipped.stem], Wanted(None, frozenset({"test"}))
    paths = [mirror / archive.name for archive in entry.archives]
    read = READERS[entry.reader](shipped.stem, entry, paths, tested)
    records = [item for item in read if isinstance(item, Record) and item.label in about["classes"]]
    images = assemble((("fer2013", record) for record in records), 48, "grey").images
    labels = np.array([record.label for record in records])
    assert len(images) == len(labels) == about["metrics"]["none"]["faces"]
    shares = predict(load(shipped), images, np.arange(len(images)), "none")
    predicted = np.array(about["classes"])[shares.argmax(axis=1)]
    # another processor may tip faces that lie between two classes
    stated, accuracy = about["metrics"]["none"], float((predicted == labels).mean())
    assert accuracy > 0.6
    assert accuracy == pytest.approx(stated["accuracy"], abs=0.002)
    assert f1_score(labels, predicted, average="macro") == pytest.approx(stated["macro"]["f1"], abs=0.005)
    numbers = [about["classes"].index(name) for name in labels]
    loss = -np.log(np.maximum(shares[np.arange(len(numbers)), numbers], 1e-12)).mean()
    assert loss == pytest.approx(stated["log_loss"], abs=0.002)
    for name, scores in stated["per_class"].items():
        assert (predicted == name)[labels == name].mean() == pytest.approx(scores["recall"], abs=0.02), name


def test_packing_halves_the_kernels_and_keeps_vectors(tmp_path):
    plain = write_tiny(tmp_path / "model.keras")
    size = pack(plain, tmp_path / "small.keras")
    assert size == (tmp_path / "small.keras").stat().st_size < plain.stat().st_size
    before, after = load(plain), load(tmp_path / "small.keras")
    for old, new in zip(before.weights, after.weights, strict=True):
        stored = np.asarray(old)
        expected = stored.astype(np.float16).astype(np.float32) if stored.ndim > 1 else stored
        assert np.array_equal(np.asarray(new), expected), old.path
    first, second = (predict(model, IMAGES, np.arange(9), "none") for model in (before, after))
    assert 0 < np.abs(first - second).max() < 0.01


def test_the_temperature_divides_the_logits(tmp_path):
    plain = write_tiny(tmp_path / "model.keras")
    pack(plain, tmp_path / "plain.keras")
    pack(plain, tmp_path / "cool.keras", 0.5)
    sharp, soft = (
        predict(load(tmp_path / f"{name}.keras"), IMAGES, np.arange(9), "none") for name in ("cool", "plain")
    )
    np.testing.assert_allclose(sharp, soft**2 / (soft**2).sum(axis=1, keepdims=True), rtol=0.01)


def test_packing_again_gives_the_same_bytes_and_the_same_card(tmp_path):
    plain = write_tiny(tmp_path / "model.keras", epoch=4)
    for name in ("a", "b"):
        pack(plain, tmp_path / f"{name}.keras")
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()
    assert read_card(tmp_path / "a.keras") == read_card(plain)
    pack(tmp_path / "a.keras", tmp_path / "again.keras")
    assert (tmp_path / "again.keras").read_bytes() == (tmp_path / "a.keras").read_bytes()


def weights(**arrays: np.ndarray) -> io.BytesIO:
    file = io.BytesIO()
    with h5py.File(file, "w") as stored:
        for name, values in arrays.items():
            stored[name] = values
    return file


def test_weights_that_float16_cannot_hold_are_refused():
    with pytest.raises(CandidError, match=r"m\.keras: /kernel has 70000: beyond float16"):
        half(weights(kernel=np.full((2, 2), 7e4, np.float32)).getvalue(), "m.keras")
    kept = half(weights(variance=np.full(2, 7e4, np.float32), seed=np.arange(2)).getvalue(), "m.keras")
    with h5py.File(io.BytesIO(kept)) as file:
        assert file["variance"][0] == 7e4
        assert file["seed"].dtype == np.int64
    with pytest.raises(CandidError, match="no HDF5 file"):
        half(b"nothing", "m.keras")


def test_a_net_that_stays_too_large_is_not_shipped(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "MAX_BYTES", 1000)
    plain = write_tiny(tmp_path / "model.keras")
    with pytest.raises(CandidError, match="expected at most 1,000"):
        pack(plain, tmp_path / "small.keras")
    assert not (tmp_path / "small.keras").exists()


@pytest.fixture
def ended(tmp_path):
    """A run that has ended: its settings, its data, its model, its metrics."""
    (tmp_path / "run").mkdir()
    project = Project(tmp_path / "run")
    project.params = read_yaml(ROOT / "params.yaml")
    project.start().results(faces(45))
    revision = project.commit()
    project.params["train"] |= {"epochs": 9, "optimizer": {"name": "sgd", "momentum": 0.5}}
    project.params["archs"]["vgg16"]["dropout"] = 0.1  # of a net that was not trained
    project.write_yaml("params.yaml", project.params)
    write_data(project.root / "data", part=np.repeat(["validation", "train", "test"], [15, 30, 45]))
    model = write_tiny(project.root / "models" / "model.keras")
    versions = {"python": "3.11", "keras": "3"}
    provenance = {"md5": {"models/model.keras": md5(model)}, "revision": revision, "versions": versions}
    write_json(project.root / "metrics" / "provenance.json", provenance)
    return project, revision


def test_one_command_packs_measures_and_describes(ended, tmp_path, capsys):
    project, revision = ended
    out = tmp_path / "shipped" / "tiny.keras"
    main([str(project.root / "models/model.keras"), "--out", str(out)])
    about = json.loads(out.with_suffix(".json").read_text())
    options = ["train.epochs=9", "'train.optimizer={name:sgd,momentum:0.5}'"]
    assert about["command"] == " \\\n  -S ".join(["dvc exp run", *options])
    assert (about["commit"], about["md5"], about["classes"]) == (revision, md5(out), list(CLASSES))
    scores = about["metrics"]["none"]
    assert scores["faces"] == 45
    assert about["temperature"] > 0
    assert "none: accuracy " in capsys.readouterr().out
    page = out.with_suffix(".md").read_text()
    front = page.split("---\n")[1]
    assert "license: apache-2.0" in front
    assert f"value: {scores['accuracy']}" in front
    with zipfile.ZipFile(out) as archive:
        assert "candid.json" in archive.namelist()


def test_metrics_of_another_model_are_not_taken(ended, tmp_path):
    project, _ = ended
    shutil.copy(write_tiny(tmp_path / "other.keras", epoch=3), project.root / "models/model.keras")
    with pytest.raises(CandidError, match="metrics are of another model"):
        main([str(project.root / "models/model.keras"), "--out", str(tmp_path / "s.keras")])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.keras"], "missing.keras: no such file"),
        (["missing.keras", "--out", "a.h5"], "--out a.h5: expected a name that ends with .keras"),
    ],
)
def test_faults_end_in_one_line(arguments, said):
    with pytest.raises(CandidError, match=said):
        main(arguments)
