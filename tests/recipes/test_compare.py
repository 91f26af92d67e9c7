"""candid compare: numbers read from git, put together over folds and seeds, and held against the paper's."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, f1_score, recall_score

from candid.compare import compare
from candid.compare.command import main
from candid.compare.measured import (
    RESAMPLES,
    Experiment,
    Measured,
    Score,
    differences,
    distance,
    gather,
    read_experiments,
)
from candid.compare.table import Pair, Row, build, choose, summary
from candid.errors import CandidError
from candid.evaluation.bootstrap import Drawn, draw
from candid.evaluation.predictions import as_predictions
from tests.conftest import refusal
from tests.gate.project import CLASSES
from tests.recipes.recipe_project import RecipeProject, faces, report


def built(project: RecipeProject, full: bool = False, **options: Any) -> list[Pair]:
    return build(project.root, project.recipe, project.recipe.runs, full=full, **options)


def pair(project: RecipeProject, run: str, full: bool = False) -> Pair:
    return next(one for one in built(project, full) if one.run.name == run)


def row(project: RecipeProject, run: str, metric: str | None = None) -> Row:
    rows = pair(project, run, full=metric is not None).rows(full=metric is not None)
    return next(one for one in rows if metric in (None, one.metric))


def measured(project: RecipeProject, run: str, metric: str | None = None) -> Score:
    found = row(project, run, metric).measured
    assert found is not None
    return found


def text(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    main(["made2024", *arguments])
    return capsys.readouterr().out


def line(page: str, start: str) -> str:
    return " ".join(next(one for one in page.splitlines() if one.startswith(start)).split())


def test_without_an_experiment_there_is_what_the_paper_says(project: RecipeProject) -> None:
    rows = [one for pair in built(project) for one in pair.rows(full=False)]
    assert [one.run for one in rows] == ["plain", "plain-large", "seeds", "repeated", "transfer"]
    assert [one.published.value for one in rows if one.published] == [0.75, 0.95, 0.97, 0.7, 0.86]
    assert all(one.measured is None and one.within is None for one in rows)


def test_one_experiment_has_the_numbers_and_the_interval_of_its_report(project: RecipeProject) -> None:
    project.member("plain")
    expected = report(faces())
    accuracy, found = measured(project, "plain"), row(project, "plain")
    assert accuracy.value == pytest.approx(expected["accuracy"])
    assert (accuracy.low, accuracy.high) == (expected["accuracy_low"], expected["accuracy_high"])
    assert found.difference == pytest.approx(expected["accuracy"] - 0.75)
    assert found.within is True
    project.member("plain-large")
    assert row(project, "plain-large").within is False


def test_every_published_number_has_its_row(project: RecipeProject) -> None:
    project.member("plain", table=faces(group=4))
    auc = measured(project, "plain", "macro.auc")
    assert (auc.value, auc.low) == (0.875, None)
    recall = measured(project, "plain", "per_class.happy.recall")
    actual, predicted = faces()["actual"], faces()["predicted"]
    assert recall.value == pytest.approx(recall_score(actual, predicted, labels=["happy"], average=None)[0])
    assert recall.low is not None
    assert recall.high is not None
    assert recall.low < recall.value < recall.high
    assert recall.high - recall.low == pytest.approx(2 * 1.96 * (0.75 * 0.25 / 200) ** 0.5, rel=0.35)
    values = {
        one.metric: one.measured and one.measured.value for one in pair(project, "plain", True).rows(True)
    }
    assert values["per_class.happy.support"] == (actual == "happy").sum()
    assert (values["train.accuracy"], values["best_epoch"]) == (0.7, 2), "of the epoch best on validation"


def test_seeds_give_mean_and_deviation_and_the_interval_of_all_their_faces(project: RecipeProject) -> None:
    tables = [faces(300, seed, right=0.9 + 0.03 * seed, group=3) for seed in range(3)]
    for seed, one in enumerate(tables):
        project.member("seeds", f"s{seed}", table=one)
    values = [float((one["actual"] == one["predicted"]).mean()) for one in tables]
    found = measured(project, "seeds")
    assert found.value == pytest.approx(statistics.fmean(values))
    assert found.sd == pytest.approx(statistics.stdev(values))
    assert found.each == pytest.approx(values)
    every = pd.concat(tables)
    pooled = draw(as_predictions(every), RESAMPLES, 0)
    assert (found.low, found.high) == pytest.approx(pooled.interval("accuracy"))


def macro_f1(tables: list[pd.DataFrame]) -> float:
    """Of all faces at once."""
    every = pd.concat(tables)
    return float(f1_score(every["actual"], every["predicted"], average="macro"))


def test_a_repetition_is_scored_on_the_faces_of_all_its_folds(project: RecipeProject) -> None:
    tables = [[faces(60 + 30 * fold, seed=10 * repeat + fold) for fold in range(3)] for repeat in (0, 1)]
    for repeat, folds in enumerate(tables):
        for fold, one in enumerate(folds):
            project.member("repeated", f"r{repeat}-f{fold}", table=one)
    found = pair(project, "repeated").measured
    scores = [macro_f1(folds) for folds in tables]
    every = pd.concat([*tables[0], *tables[1]])
    assert found is not None
    assert found.scores["macro.f1"].value == pytest.approx(statistics.fmean(scores))
    assert found.scores["macro.f1"].sd == pytest.approx(statistics.stdev(scores))
    assert (found.over, found.members, found.faces) == ("2 repetitions of 3 folds", 6, len(every))
    assert found.confusion == {
        "classes": list(CLASSES),
        "counts": confusion_matrix(every["actual"], every["predicted"], labels=CLASSES).tolist(),
    }


def test_a_class_that_a_fold_lacks_is_scored_where_it_is(project: RecipeProject) -> None:
    tables = [faces(90, fold) for fold in range(3)]
    tables[1] = tables[1].query("actual != 'sad'").reset_index(drop=True)
    for fold, one in enumerate(tables):
        project.member("repeated", f"r0-f{fold}", table=one)
    found = pair(project, "repeated", full=True).measured
    every = pd.concat(tables).query("actual == 'sad'")
    assert found is not None
    assert found.scores["per_class.sad.recall"].value == pytest.approx((every["predicted"] == "sad").mean())
    assert found.scores["macro.f1"].sd == pytest.approx(statistics.stdev(macro_f1([one]) for one in tables))


def measured_of(project: RecipeProject, run: str, values: dict[str, float], **changes: Any) -> Measured:
    """A run of the recipe of which these members were measured, without predictions."""
    recipe = project.recipe
    experiments = [
        Experiment(
            recipe.experiment(recipe.run(run), False, member),
            "c",
            "b",
            0,
            {**recipe.run(run).members(False)[member], **changes},
            {"accuracy": value, "faces": 10},
        )
        for member, value in values.items()
    ]
    (one,) = gather(recipe, recipe.run(run), False, experiments, ["accuracy"])
    return one


@pytest.mark.parametrize(
    ("run", "values", "mean", "sd", "over"),
    [
        ("repeated", {"r0-f0": 0.9, "r0-f1": 0.8, "r0-f2": 0.7, "r1-f0": 0.1}, 0.8, 0.1, "3 folds"),
        ("repeated", {"r0-f0": 0.9, "r0-f2": 0.7}, 0.8, 0.02**0.5, "2 of 3 folds"),
        ("repeated", {"r0-f0": 0.9, "r0-f1": 0.7, "r1-f0": 0.2}, 0.6, 0.13**0.5, "3 of 6 folds"),
        ("seeds", {"s1": 0.9}, 0.9, None, "1 of 3 seeds"),
        ("plain", {"": 0.9}, 0.9, None, ""),
    ],
)
def test_a_mean_is_over_complete_repetitions_or_says_of_what(
    project: RecipeProject, run: str, values: dict[str, float], mean: float, sd: float | None, over: str
) -> None:
    found = measured_of(project, run, values)
    assert (found.over, found.members) == (over, len(values))
    assert found.scores["accuracy"].value == pytest.approx(mean)
    assert found.scores["accuracy"].sd == (None if sd is None else pytest.approx(sd))


def test_the_interval_is_of_the_faces_that_make_the_mean(project: RecipeProject) -> None:
    for fold in range(3):
        project.member("repeated", f"r0-f{fold}", table=faces(90, fold))
    complete = row(project, "repeated").measured
    project.member("repeated", "r1-f0", table=faces(90, 7, right=0.1))
    assert row(project, "repeated").measured == complete


def test_leak_free_is_beside_it_with_its_own_members_and_leaks(project: RecipeProject) -> None:
    project.member("seeds", "s0")
    for fold in range(3):
        project.member("seeds", f"f{fold}", leak_free=True, table=faces(120, fold, right=0.6, leaked=False))
    found = pair(project, "seeds")
    assert found.measured is not None
    assert found.leak_free is not None
    assert found.leak_free.over == "3 folds"
    assert found.leak_free.scores["accuracy"].value < 0.7
    assert (found.measured.leaked, found.measured.faces) == (400, 400)
    assert (found.leak_free.leaked, found.leak_free.faces) == (0, 360)


def test_what_differs_from_the_recipe(project: RecipeProject) -> None:
    wanted = project.recipe.run("plain").members(False)[""]
    assert differences(wanted, wanted) == {}
    assert differences({**wanted, "train.epochs": 10.0}, wanted) == {}
    assert differences({**wanted, "train.batch_size": 8}, wanted) == {"train.batch_size": [8, 16]}
    assert differences({**wanted, "train.precision": "mixed_bfloat16"}, wanted), "the papers' own is float32"
    assert differences({**wanted, "model.weights": False}, {**wanted, "model.weights": 0})
    without = {key: value for key, value in wanted.items() if key != "train.epochs"}
    assert differences(without, wanted) == {"train.epochs": ["not set", 10]}
    other = {**wanted, "archs.baseline_cnn.dropout": 0.1}
    assert list(differences({**wanted, "model.arch": "vgg11"}, other)) == ["model.arch"]


def test_the_nearest_to_the_recipe_is_shown_and_in_full_the_others_too(project: RecipeProject) -> None:
    full = {"s0": 0.9, "s1": 0.9, "s2": 0.9}
    order = [
        measured_of(project, "seeds", full),
        measured_of(project, "seeds", full, **{"train.batch_size": 8}),
        measured_of(project, "seeds", full, **{"train.epochs": 9}),
        measured_of(project, "seeds", {"s0": 0.9}),
        measured_of(project, "seeds", full, **{"train.epochs": 2}),
        measured_of(project, "seeds", full, **{"model.arch": "vgg11"}),
    ]
    assert sorted([order[3], *order[4:], *order[:3]], key=distance) == order
    project.member("plain", variation="2epochs", train__epochs=2)
    project.member("plain", table=faces(seed=1), train__seed=5)
    project.member("plain", leak_free=True, variation="5epochs", train__epochs=5)
    project.member("plain", leak_free=True, variation="2epochs", train__epochs=2)
    pairs = [one for one in built(project, full=True) if one.run.name == "plain"]
    variations = [[one.variation for _, one in pair.results] for pair in pairs]
    assert variations == [["", "5epochs"], ["2epochs", "2epochs"]]
    (first,) = (one for one in built(project) if one.run.name == "plain")
    assert [one.variation for _, one in first.results] == ["", "5epochs"]


def test_of_one_name_the_nearest_then_the_newest_counts_whatever_its_baseline(
    project: RecipeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.member("plain", table=faces(seed=1))
    project.write("notes.txt", "another baseline\n")
    project.commit("later")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2060-01-01T00:00:00Z")
    newest = project.member("plain", table=faces(seed=2))
    project.write("notes.txt", "one more\n")
    project.commit("later still")
    project.member("plain", table=faces(seed=3), train__batch_size=8)
    assert len(read_experiments(project.root, project.recipe, ["plain"])) == 3
    found = pair(project, "plain").measured
    assert found is not None
    assert list(found.experiments.values()) == [newest]


def test_what_is_no_result_is_left_out(project: RecipeProject) -> None:
    commit = project.git("rev-parse", "HEAD")
    for name in ("made2024-plain", "made2024-unknown", "made2024-seeds-s7", "tidy-newt"):
        project.git("update-ref", f"refs/exps/{commit[:2]}/{commit[2:]}/{name}", commit)
    assert read_experiments(project.root, project.recipe, ["plain", "seeds"]) == []


def test_runs_are_chosen_by_name_pattern_or_part(project: RecipeProject) -> None:
    def names(*wanted: str) -> list[str]:
        return [one.name for one in choose(project.recipe, wanted)]

    assert names() == [one.name for one in project.recipe.runs]
    assert names("plain") == ["plain"]
    assert names("transfer", "plain*") == ["plain", "plain-large", "transfer"]
    assert names("large") == ["plain-large"]


def test_the_table_on_a_terminal(project: RecipeProject, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(3):
        project.member("seeds", f"s{seed}", table=faces(300, seed, group=3))
    project.member("plain", variation="2epochs", train__epochs=2, model__weights="/home/ada/earlier.keras")
    project.member("plain", leak_free=True, table=faces(seed=3, right=0.6, leaked=False))
    page = text(capsys)
    assert max(map(len, page.splitlines())) <= 120
    assert page.startswith("Lovelace and Babbage 2024: Drawn faces told apart\n\nClaim: A net tells")
    assert "- leak-free: groups kept together\n" in page
    expected = "run metric published source measured (95 %) difference leak-free (95 %)"
    assert line(page, "run ") == expected
    assert line(page, "plain ").startswith("plain accuracy 75 Table 1 ")
    assert "97 ± 1.4 Figure 5" in line(page, "seeds ")
    assert line(page, "plain-large ") == "plain-large accuracy 95 Table 1 – – –"
    flowing = " ".join(page.split())
    assert "- plain, measured: 400 test faces, 400 of them leaked; model.weights earlier.keras" in flowing
    assert "train.epochs 2 instead of 10; at commit " in flowing
    assert "- seeds, measured: mean over 3 seeds; 900 test faces, 900 of them leaked; at commit" in flowing
    assert "within the 95 % interval of the measured one: 1 of 2." in flowing
    assert "Not run under the paper's protocol: plain-large, repeated, transfer." in flowing
    assert "Not run under the leak-free protocol: plain-large, seeds, repeated, transfer." in flowing
    assert "/home" not in page


def test_everything_in_full_and_as_markdown(
    project: RecipeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(3):
        project.member("seeds", f"s{seed}", table=faces(300, seed))
    project.member("plain")
    page = text(capsys, "--full", "--only", "plain", "seeds")
    assert line(page, "happy recall").startswith("happy recall 80 Table 3 ")
    assert line(page, "happy support").startswith("happy support 200 Table 3 ")
    assert line(page, "best epoch").startswith("best epoch 7 Table 2 2 ")
    assert "- accuracy of each repetition: published 96, 97, 98; measured " in page
    assert "Confusion matrix, published (Figure 1)" in page
    assert "Confusion matrix, measured, 3 seeds" in page
    assert line(page, "sad ") == "sad 1 9"
    assert "- doubt: Table 1 says otherwise." in page
    md = text(capsys, "--full", "--markdown")
    assert md.startswith("## Lovelace and Babbage 2024: Drawn faces told apart\n\n")
    assert "| plain | accuracy | 75 | Table 1 | " in md
    assert "\n\n\n" not in md


SCRATCH: dict[str, Any] = {"model__weights": None, "train__freeze": None}


def test_transfer_and_scratch_are_a_pair_with_its_difference(
    project: RecipeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    gain = "accuracy: transfer minus scratch"
    project.member("transfer", table=faces(right=0.8))
    project.member("transfer", variation="scratch+2epochs", train__epochs=2, **SCRATCH)
    assert gain not in pair(project, "transfer").rows(full=False)[-1].metric, "of another budget"
    project.member("transfer", variation="scratch", table=faces(right=0.6), **SCRATCH)
    after, before = (report(faces(right=right))["accuracy"] for right in (0.8, 0.6))
    found = pair(project, "transfer").rows(full=False)[-1]
    assert (found.metric, found.published, found.leak_free) == (gain, None, None)
    assert found.measured is not None
    value, low, high = found.measured.value, found.measured.low, found.measured.high
    assert low is not None
    assert high is not None
    assert value == pytest.approx(after - before)
    assert low < value < high
    wide = 2 * 1.96 * ((0.2 - 0.2**2) / 400) ** 0.5  # a fifth of the faces gained, none lost
    assert high - low == pytest.approx(wide, rel=0.3)
    shown = next(one for one in text(capsys).splitlines() if "minus scratch" in one)
    assert f"transfer {gain} – +{100 * (after - before):.1f} (+" in " ".join(shown.split())
    project.member("transfer", variation="scratch", table=faces(right=0.6, seed=1), **SCRATCH)
    found = pair(project, "transfer").rows(full=False)[-1]
    assert found.measured is not None
    assert found.measured.low is None, "of other faces"


def test_the_matrices_summed_over_folds_are_drawn(
    project: RecipeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    for fold in range(3):
        project.member("repeated", f"r0-f{fold}", table=faces(90, fold))
    written = text(capsys, "--plots", "drawn").splitlines()[-2:]
    assert written == ["drawn/made2024-repeated.png", "drawn/made2024-repeated-precision.png"]
    for path in written:
        with Image.open(path) as picture:
            assert min(picture.size) > 400


def test_settings_of_strangers_are_neutralised(
    project: RecipeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    project.member("plain", model__arch="vgg\n## Forged | \x1b[31m")
    assert "\\x1b[31m" in text(capsys)
    assert "## Forged" not in text(capsys, "--markdown").replace("\\#\\# Forged", "")


def test_the_summary_says_how_far_the_leak_free_number_is(project: RecipeProject) -> None:
    project.member("plain", variation="2epochs", train__epochs=2)
    project.member("plain", leak_free=True)
    assert "Results that are not as the recipe has them, or incomplete: 1; how, is below." in summary(
        built(project)
    )
    assert not any("minus measured" in one for one in summary(built(project))), "of another budget"
    project.member("plain")
    assert "Leak-free minus measured: 0.0 points (1 run)." in summary(built(project))


def test_exported_results_make_the_same_table_in_another_clone(
    project: RecipeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    for fold in range(3):
        project.member("repeated", f"r0-f{fold}", table=faces(90, fold, group=2))
    commit = project.member("plain", model__weights="/home/ada/earlier.keras")
    project.member("plain", leak_free=True, table=faces(seed=1))
    here = text(capsys, "--full")
    written = text(capsys, "--export", "recipes/measured/made2024").splitlines()
    names = ["made2024-plain.json", "made2024-plain-leak_free.json", "made2024-repeated.json"]
    assert [Path(path).name for path in written] == names
    for path in written:
        stored = Path(path).read_text(encoding="utf-8")
        assert ".png" not in stored, "no picture is named in what is committed"
        assert "/home" not in stored, "nor where a file is on one machine"
    assert json.loads(Path(written[0]).read_text())["experiments"] == {"made2024-plain": commit}
    project.forget_experiments()
    for arguments in (("--full",), ("--full", "--from", "recipes/measured/made2024")):
        there = " ".join(text(capsys, *arguments).split())
        assert there.replace("recorded at", "at") == " ".join(here.split())
    assert "recorded at commit" in text(capsys)


def test_compare_in_python(project: RecipeProject) -> None:
    project.member("plain")
    table = compare("made2024", project.root)
    first = table[table["run"] == "plain"].iloc[0]
    assert (first["metric"], first["published"], first["source"]) == ("accuracy", 0.75, "Table 1")
    assert first["measured_low"] < first["measured"] < first["measured_high"]
    assert (first["measured_faces"], first["measured_leaked"]) == (400, 400)
    assert pd.isna(first["leak_free"])
    assert len(compare("made2024", project.root, full=False)) == 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["made2025"], "recipes/made2025.yaml: no such recipe; expected one of made2024"),
        (["made2024", "--only", "plian"], "made2024 has no run 'plian'; expected one of plain"),
        (["made2024", "--from", "nowhere"], "nowhere: no such folder"),
        (["made2024", "--export", "out"], "made2024: no experiment to export here"),
        (["made2024", "--plots", "out"], "made2024: no confusion matrix to draw"),
        (["made2024", "--from", "broken"], "broken/a.json: result.leak_free is missing"),
        (["made2024", "--from", "cut"], "cut/a.json: not JSON"),
    ],
)
def test_what_is_wrong_is_one_line(project: RecipeProject, arguments: list[str], words: str) -> None:
    project.write("broken/a.json", '{"run": "plain", "members": 3}')
    project.write("cut/a.json", '{"run": ')
    assert words in refusal(main, arguments)


def test_without_git_it_says_so(project: RecipeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.root / ".git").rename(project.root / "away")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(project.root.parent))
    with pytest.raises(CandidError, match="not in a git repository"):
        main(["made2024"])


def drawn(groups: list[list[list[int]]]) -> Drawn:
    """Every resample as the whole: two classes, `groups` matrices of actual by predicted."""
    counts = np.array(groups, np.int64)
    return Drawn(["happy", "sad"], np.repeat(counts.sum(axis=0)[None], RESAMPLES, axis=0), counts)


def exact(groups: int) -> float:
    return float(binomtest(groups, groups).proportion_ci(method="exact").low)


def test_intervals_of_scores_that_no_resample_varies() -> None:
    """A class is bounded by the groups that have it; one that is never predicted has no precision."""
    happy, sad, mistaken = [[3, 0], [0, 0]], [[0, 0], [0, 2]], [[0, 0], [1, 0]]
    found = drawn([happy] * 4 + [sad] * 2 + [mistaken] * 6)
    assert found.bounds("per_class.happy.recall") == pytest.approx((exact(4), 1))
    assert found.bounds("per_class.sad.precision") == pytest.approx((exact(2), 1))
    found = drawn([[[0, 0], [2, 0]]] * 9)
    for metric in ("accuracy", "per_class.sad.recall"):
        assert found.bounds(metric) == pytest.approx((0, 1 - exact(9)))
    assert found.bounds("per_class.sad.precision") is None
