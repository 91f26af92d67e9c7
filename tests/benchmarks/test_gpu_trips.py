"""What the bare machine does from one call to the next, with a training that takes no time."""

from __future__ import annotations

import copy
import io
import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import gpu_runs
from benchmarks.gpu import one
from benchmarks.gpu.bare import Bare
from benchmarks.gpu.pack import Earlier, check_size, left, pack, read_earlier
from benchmarks.gpu.parts import read
from benchmarks.gpu.results import Results
from benchmarks.gpu.runs import Run, read_runs
from benchmarks.gpu.sets import fingerprint
from benchmarks.gpu.unpack import table, unpack
from stages.errors import CandidError
from stages.files import md5
from stages.lineage import OWN, digests
from stages.settings import read_yaml
from tests.benchmarks.test_gpu_faces import as_jpeg, faces, pixels_of

ROOT = Path(__file__).parents[2]
PARAMS: dict[str, Any] = read_yaml(ROOT / "params.yaml")
POPEN = subprocess.Popen
ACCURACY = {"vgg16": 0.5, "resnet18": 0.7, "basic_cnn": 0.6}


def run(name: str, arch: str = "vgg16", epochs: int = 2, **more: Any) -> Run:
    params = copy.deepcopy(PARAMS)
    params["model"]["arch"] = arch
    params["train"]["epochs"] = epochs
    return Run(name, params, ["none"], **more)


class Machine:
    """Stands in for the processes that train."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.asked: dict[str, dict[str, Any]] = {}
        self.environment: dict[str, str] = {}
        self.folder = Path()
        self.hangs: set[str] = set()
        self.seconds = 1.0

    def popen(self, command: list[str], cwd: Path | None = None, **more: Any) -> Any:
        if cwd is None:  # git
            return POPEN(command, **more)
        name, env = cwd.name, more["env"]
        self.started.append(name)
        self.environment, self.folder = env, cwd
        params = json.loads((cwd / "params.yaml").read_text())
        self.asked[name] = {**json.loads((cwd / "run.json").read_text()), "params": params}
        self.asked[name]["files"] = sorted(path.name for path in cwd.iterdir())
        (cwd / "log.txt").write_text(f"{name} began\n")
        start = params["model"]["weights"]
        made = {"started_from": {"file": start, "md5": md5(cwd / start)}} if start else {}
        written = {"seconds": self.seconds, "faces": 40, "history": [{}] * params["train"]["epochs"]}
        accuracy = ACCURACY[params["model"]["arch"]]
        scores = {"validation_none": {"val_accuracy": accuracy}}
        (cwd / "result.json").write_text(json.dumps({**written, "scores": scores, "made": made}))
        np.savez(cwd / "predictions.npz", validation_none=np.full((15, 3), accuracy))
        if self.asked[name]["model"]:
            (cwd / "model.keras").write_bytes(name.encode() * 10)
        return Process(None if name in self.hangs else 0)


class Process:
    def __init__(self, returncode: int | None) -> None:
        self.returncode = returncode

    def poll(self) -> int | None:
        return self.returncode

    def kill(self) -> None:
        self.returncode = -9

    def wait(self) -> None:
        pass


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine()
    monkeypatch.setattr("benchmarks.gpu.bare.subprocess.Popen", found.popen)
    monkeypatch.setattr("benchmarks.gpu.bare.LEAST", 0.5)
    return found


@pytest.fixture
def trip(data: Path, tmp_path: Path) -> Callable[..., int]:
    """Packs runs and carries them out; gives how many were missed. Each time on a fresh machine."""

    def go(runs: list[Run], earlier: Earlier | None = None, seconds: float = 600) -> int:
        pack(runs, lambda one: data, tmp_path / "pack", earlier=earlier)
        shutil.rmtree(tmp_path / "scratch", ignore_errors=True)
        return Bare(tmp_path / "pack", tmp_path / "out", tmp_path / "scratch", 1, seconds).run()

    return go


def test_a_fold_starts_from_the_model_that_came_before_the_cut(
    machine: Machine, trip: Callable[..., int], tmp_path: Path
) -> None:
    parent = run("parent", keep=True)
    child = run("child-f0", pretrained="parent", after=(parent.digest,))
    assert trip([parent]) == 0
    assert trip([parent, child]) == 0
    assert machine.started == ["parent", "child-f0"], "the parent is not trained twice"
    assert "parent.keras" in machine.asked["child-f0"]["files"]
    assert (machine.folder / "parent.keras").read_bytes() == b"parent" * 10
    assert machine.asked["child-f0"]["params"]["model"]["weights"] == "parent.keras"
    # Without its model it is as if it had not been done.
    for piece in (tmp_path / "out").glob("parent.keras-*"):
        piece.unlink()
    shutil.rmtree(tmp_path / "scratch")
    machine.started.clear()
    assert trip([parent, run("child-f1", pretrained="parent")]) == 0
    assert machine.started == ["parent", "child-f1"]


def test_a_model_that_was_unpacked_travels_along(
    machine: Machine, trip: Callable[..., int], data: Path, tmp_path: Path
) -> None:
    parent = run("parent", keep=True, test=False)
    runs = [parent, *(run(f"child-f{fold}", pretrained="parent") for fold in (0, 1))]
    trip(runs[:1])
    unpack(tmp_path / "out", lambda one: data, tmp_path / "back")
    shutil.rmtree(tmp_path / "out")
    earlier = read_earlier(runs, tmp_path / "back")
    chosen = left(runs, None, earlier.results)
    assert [one.name for one in chosen] == ["child-f0", "child-f1"]
    machine.started.clear()
    assert trip(chosen, earlier) == 0
    assert machine.started == ["child-f0", "child-f1"]
    assert (machine.folder / "parent.keras").read_bytes() == b"parent" * 10
    (tmp_path / "back/parent/model.keras").unlink()
    assert "parent" not in read_earlier(runs, tmp_path / "back").results


def test_a_run_is_known_by_its_settings(machine: Machine, trip: Callable[..., int], tmp_path: Path) -> None:
    assert trip([run("one")]) == 0
    assert trip([run("one")]) == 0
    assert machine.started == ["one"]
    assert trip([run("one", epochs=3)]) == 0
    assert machine.started == ["one", "one"]
    assert len(Results(tmp_path / "out").finished()["one"].result["history"]) == 3


def test_all_that_determines_a_run_is_in_its_digest() -> None:
    own = run("one")
    others = [
        run("one", "resnet18"),
        run("one", epochs=3),
        run("one", keep=True),
        run("one", test=False),
        run("one", after=("0" * 16,)),
        run("one", benchmark=["train"]),
    ]
    for section, key, value in (
        ("data", "image_size", 64),
        ("split", "fold", 3),
        ("archs", "vgg16", {**PARAMS["archs"]["vgg16"], "dropout": 0.1}),
    ):
        changed = run("one")
        changed.params[section][key] = value
        others.append(changed)
    others.append(Run("one", own.params, ["none", "flip"]))
    assert len({one.digest for one in (own, *others)}) == len(others) + 1
    unread = run("another name")
    unread.params["gate"] = {}
    unread.params["archs"]["resnet18"] = {}
    assert unread.digest == own.digest


def test_a_net_is_chosen_on_validation_faces(
    machine: Machine, trip: Callable[..., int], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    candidates = [run(f"choose-{net}", net, test=False) for net in ("vgg16", "resnet18", "basic_cnn")]
    names = tuple(one.name for one in candidates)
    best = run("best", chosen=names)
    machine.hangs = {"choose-basic_cnn"}
    assert trip([*candidates, best], seconds=1) == 2
    assert machine.started == [*names], "not before all of them are there"
    assert "best: left out: nothing is chosen before choose-basic_cnn" in capsys.readouterr().out
    machine.hangs.clear()
    assert trip([*candidates, best]) == 0
    assert machine.started == [*names, "choose-basic_cnn", "best"]
    assert machine.asked["best"]["params"]["model"]["arch"] == "resnet18"

    # The same where the candidates came back before.
    unpack(tmp_path / "out", lambda one: data, tmp_path / "back")
    shutil.rmtree(tmp_path / "out")
    earlier = read_earlier(candidates, tmp_path / "back")
    machine.asked.clear()
    assert trip([best], earlier) == 0
    assert machine.asked["best"]["params"]["model"]["arch"] == "resnet18"


def test_what_is_asked_for_brings_what_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "runs.yaml"
    entries = [
        "{name: choose, test: false, over: {model.arch: [vgg16, vgg19]}}",
        "{name: best, chosen: choose}",
        "{name: parent}",
        "{name: child, pretrained: parent, over: {split.fold: [0, 1]}}",
        "{name: other}",
    ]
    path.write_text(f"common: {{}}\nruns: [{', '.join(entries)}]\n")
    listed = read_runs(path, ROOT / "params.yaml")

    def names(only: list[str], *done: str) -> list[str]:
        return [one.name for one in left(listed, only, done)]

    assert names(["child"]) == ["parent", "child-fold0", "child-fold1"]
    assert names(["child"], "parent", "child-fold0") == ["child-fold1"]
    assert names(["best", "other"], "choose-vgg19") == ["choose-vgg16", "best", "other"]
    assert names(["parent"], "parent") == []
    digests = {one.name: one.digest for one in listed}
    path.write_text(path.read_text().replace("name: parent", "settings: {train.epochs: 3}, name: parent"))
    moved = {one.name for one in read_runs(path, ROOT / "params.yaml") if one.digest != digests[one.name]}
    assert moved == {"parent", "child-fold0", "child-fold1"}


def test_a_cut_run_leaves_its_log(
    machine: Machine, trip: Callable[..., int], data: Path, tmp_path: Path
) -> None:
    machine.hangs = {"long", "speed"}
    assert trip([run("short"), run("long")], seconds=1) == 1
    assert trip([run("speed", benchmark=["train"])], seconds=1) == 1
    broken = Results(tmp_path / "out").broken()
    assert broken["long"] == {"log.txt": b"long began\n"}
    assert set(broken["speed"]) == {"log.txt", "partial.json"}
    rows = unpack(tmp_path / "out", lambda one: data, tmp_path / "back")
    assert (tmp_path / "back/long/log.txt").read_text() == "long began\n"
    assert "| long |  | failed or cut: long began |" in table(rows)


def test_a_run_that_would_not_end_stands_back(machine: Machine, trip: Callable[..., int]) -> None:
    """The pace of a net is known from its earlier runs."""
    machine.seconds = 1000.0
    assert trip([run("known")]) == 0
    machine.started.clear()
    assert trip([run("slow", epochs=100), run("quick", "resnet18")], seconds=60) == 0
    assert machine.started == ["quick", "slow"], "what is left over is begun: the next call goes on with it"


def test_the_backend_is_that_of_the_settings(
    machine: Machine, trip: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert trip([run("one")]) == 0
    assert "KERAS_BACKEND" not in machine.environment
    assert machine.environment["CANDID_STATE"] == str(tmp_path / "scratch/state")
    assert set(machine.asked["one"]) >= {"revision", "dirty"}


def other_faces(data: Path, folder: Path) -> Path:
    shutil.copytree(data, folder)
    images = np.load(folder / "data/faces.npy")
    np.save(folder / "data/faces.npy", images ^ 1)
    return folder


def test_a_pack_holds_nothing_of_an_earlier_one(data: Path, tmp_path: Path) -> None:
    moved = other_faces(data, tmp_path / "moved")
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack/packages.tar.xz").write_bytes(b"")
    pack([run("first")], lambda one: data, tmp_path / "pack")
    pack([run("second")], lambda one: moved, tmp_path / "second", tmp_path / "pack")
    assert sorted(path.name for path in (tmp_path / "second").glob("faces-*")) == ["faces-16x16-1.npz"]
    sizes = pack([run("second")], lambda one: moved, tmp_path / "pack")
    assert sorted(sizes) == sorted(path.name for path in (tmp_path / "pack").iterdir())
    assert sorted(name.partition("-")[0] for name in sizes) == ["faces", "runs.json", "set"]
    # The second pack was made beside faces that are no longer there.
    with pytest.raises(CandidError, match=r"faces of 16x16 that are not those of runs\.json"):
        Bare(tmp_path / "second", tmp_path / "out", tmp_path / "scratch", 1, 60, tmp_path / "pack").run()
    with pytest.raises(CandidError, match="0 faces of 16x16 that are not those"):
        Bare(tmp_path / "second", tmp_path / "out", tmp_path / "scratch", 1, 60).run()


def test_the_command_packs_and_tells_the_sizes(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    packages: list[list[str]] = []

    def fetch(path: Path, names: list[str], python: str) -> None:
        path.write_bytes(b"x" * (1 << 20))
        packages.append(names)

    monkeypatch.setattr("benchmarks.gpu.sets.prepare", lambda one, folder: data)
    monkeypatch.setattr("benchmarks.gpu.packages.fetch", fetch)
    path = tmp_path / "runs.yaml"
    path.write_text("common: {}\nruns: [{name: parent}, {name: child, pretrained: parent}, {name: other}]\n")
    command = ["gpu_runs", "--pack", "--list", str(path), "--only", "child", "--out", str(tmp_path / "pack")]
    command += ["--results", str(tmp_path / "back")]
    monkeypatch.setattr("sys.argv", [*command, "--lean"])
    assert gpu_runs.main() == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["parent", "child"]
    assert "    1.00 MiB  packages.tar.xz" in said
    assert "keras" in packages[0]
    assert "h5py" not in packages[0]
    monkeypatch.setattr("sys.argv", [*command, "--limit", "1"])
    with pytest.raises(CandidError, match=r"^the pack has 1\.\d MiB, most of it in packages"):
        gpu_runs.main()
    assert set(packages[1]) > set(packages[0])
    monkeypatch.setattr("sys.argv", [*command, "--beside", str(tmp_path / "pack")])
    with pytest.raises(SystemExit):
        gpu_runs.main()


def test_a_pack_that_is_too_large_is_refused() -> None:
    sizes = {"faces-48x48-0.npz": 40 << 20, "faces-48x48-1.npz": 19 << 20, "runs.json": 1 << 20}
    check_size(sizes, 60)
    with pytest.raises(CandidError, match=r"60\.0 MiB, most of it in faces-48x48-0\.npz 40\.0, .*--only"):
        check_size(sizes, 59.9)


def test_pictures_are_packed_as_the_files_they_came_in(data: Path, tmp_path: Path) -> None:
    """Found in the archive as published by their source, and coded by their coefficients."""
    made = tmp_path / "made"
    shutil.copytree(data, made)
    pictures = [as_jpeg(face, 92) for face in faces(90, 16)]
    np.save(made / "data/faces.npy", np.stack([pixels_of(content) for content in pictures]))
    (made / "data/raw").mkdir()
    with zipfile.ZipFile(made / "data/raw/set.zip", "w") as archive:
        for number, content in enumerate(pictures):
            archive.writestr(f"{number}.png", content)  # as faces.csv calls them
    sizes = pack([run("one")], lambda one: made, tmp_path / "pack")
    assert [name for name in sizes if name.startswith("faces")] == ["faces-16x16-0.npz"]
    content = (tmp_path / "pack/faces-16x16-0.npz").read_bytes()
    with np.load(tmp_path / "pack/faces-16x16-0.npz") as stored:
        assert "steps" in stored, "by coefficients"
    used = np.load(made / "data/faces.npy")[:70]
    assert np.array_equal(np.unique(read(content), axis=0), np.unique(used, axis=0))


def test_results_of_two_trips_are_joined(data: Path, tmp_path: Path) -> None:
    """Folds from two machines; one was cut on the first and came back from the second; one failed."""
    even = np.full((15, 3), 1 / 3)

    def came(trip: str, name: str, accuracy: float | None) -> None:
        folder = tmp_path / "made"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if accuracy is None:
            (folder / "log.txt").write_text("out of | memory\n")
        else:
            told = {
                "result.json": {
                    "scores": {"validation_none": {"val_accuracy": accuracy}},
                    "history": [],
                    "seconds": 1,
                },
                "params.yaml": run(name).params,
                "run.json": {"set": fingerprint(data)},
            }
            for file, value in told.items():
                (folder / file).write_text(json.dumps(value))
            np.savez(folder / "predictions.npz", validation_none=even, test_none=even)
        Results(tmp_path / "came" / trip).add(name, sorted(folder.iterdir()))

    came("1", "cv-f0", 0.25)
    came("1", "cv-f1", None)
    came("1", "twice", 0.25)
    came("1", "failed", None)
    came("2", "cv-f1", 0.25)
    came("2", "twice", 0.75)
    rows = unpack(tmp_path / "came", lambda one: data, tmp_path / "back")
    assert [row["name"] for row in rows] == ["cv-f0", "twice", "cv-f1", "cv-2-folds", "failed"]
    assert next(row for row in rows if row["name"] == "twice")["validation"] == 0.75
    assert "| failed |  | failed or cut: out of / memory |" in table(rows)
    with pytest.raises(CandidError, match="no results-"):
        unpack(tmp_path / "pack", lambda one: data, tmp_path / "back")


def test_faces_that_the_first_model_had_met_are_leaks(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As evaluate counts them: they were trained on, if in an earlier training."""
    images = np.load(data / "data/faces.npy")
    box = io.BytesIO()
    np.save(box, digests(images[[60, 61, 62, 3]]))
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr(OWN, box.getvalue())
    scores = {"validation_none": {"val_accuracy": 0.5}}
    made = {"started_from": {"file": "parent.keras", "md5": md5(tmp_path / "model.keras")}}
    came = {
        "parent": ({"model": True}, {"scores": scores, "history": [], "seconds": 1}),
        "child": (
            {"set": fingerprint(data), "pretrained": "parent"},
            {"scores": scores, "history": [], "seconds": 1, "made": made},
        ),
    }
    results = Results(tmp_path / "out")
    for name, (asked, result) in came.items():
        folder = tmp_path / name
        folder.mkdir()
        told = {"run.json": asked, "result.json": result, "params.yaml": run(name).params}
        for file, value in told.items():
            (folder / file).write_text(json.dumps(value))
        even = np.full((15, 3), 1 / 3)
        parts = {"validation_none": even} | ({"test_none": even} if name == "child" else {})
        np.savez(folder / "predictions.npz", **parts)  # type: ignore[arg-type]
        results.add(name, sorted(folder.iterdir()))

    def leaked() -> int:
        unpack(tmp_path / "out", lambda one: data, tmp_path / "back")
        return int(json.loads((tmp_path / "back/child/metrics.json").read_text())["leaked_test_faces"])

    before = leaked()
    assert "child: started from a model of parent that is not here" in capsys.readouterr().err
    results.add_model("parent", tmp_path / "model.keras")
    assert leaked() == before + 3
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_a_killed_training_goes_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the history of one that was left alone, and the time of both of its parts."""
    small = run("one", "self_built", epochs=3)
    small.params["archs"]["self_built"] |= {"widths": [2, 2]}
    small.params["train"] |= {"batch_size": 16}
    pack([small], lambda one: data, tmp_path / "pack")
    np.save(tmp_path / "faces.npy", read((tmp_path / "pack/faces-16x16-0.npz").read_bytes()))
    arguments = ["one", str(tmp_path / f"pack/set-{small.data}.npz"), str(tmp_path / "faces.npy")]
    monkeypatch.setattr("sys.argv", arguments)
    write = one.SeldomCheckpoints.write

    def go(state: str) -> dict[str, Any]:
        folder = tmp_path / "run"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "params.yaml").write_text(json.dumps(small.params))
        asked = {"name": "one", "views": ["none"], "test": False, "model": False, "revision": "abc"}
        (folder / "run.json").write_text(json.dumps(asked))
        monkeypatch.chdir(folder)
        monkeypatch.setenv("CANDID_STATE", str(tmp_path / state))
        capsys.readouterr()
        one.main()
        found: dict[str, Any] = json.loads((folder / "result.json").read_text())
        return found

    alone = go("alone")
    assert alone["made"]["revision"] == "abc"
    assert alone["faces"] == 40
    assert not list((tmp_path / "alone").rglob("*.npz")), "within a minute none is written"

    def killed(self: one.SeldomCheckpoints, *args: Any) -> None:
        self.rest_until = 0.0
        self.started -= 1000
        write(self, *args)
        raise KeyboardInterrupt

    monkeypatch.setattr(one.SeldomCheckpoints, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        go("killed")
    monkeypatch.setattr(one.SeldomCheckpoints, "write", write)
    again = go("killed")
    said = capsys.readouterr().out
    assert said.startswith("going on after epoch 1\n")
    assert again["history"] == alone["history"]
    assert again["scores"] == alone["scores"]
    assert 1000 < again["seconds"] < 1100
    assert not list((tmp_path / "killed").rglob("*.npz"))
