"""The numbers of the table: read from git, put together over folds and seeds, held against the paper's."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, recall_score

from candid.compare.found import Experiment, read_blobs, read_experiments
from candid.compare.measured import Measured, gather
from candid.compare.recorded import write_recorded
from candid.compare.rows import Row, Table
from candid.compare.seconds import note_attempt, seconds_of
from candid.compare.table import build, choose
from candid.compare.tell import left_out
from candid.compare.words import in_short
from candid.errors import CandidError
from candid.evaluation.bootstrap import intervals
from candid.recipes.names import Name
from tests.commands.recipe_project import RECIPE, RecipeProject, made
from tests.gate.project import CLASSES, faces


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecipeProject:
    monkeypatch.chdir(tmp_path)
    return made(tmp_path)


def table(project: RecipeProject, **options: Any) -> Table:
    recipe = project.recipe
    return build(project.root, recipe, recipe.runs, **options)


def row(project: RecipeProject, run: str, metric: str | None = None) -> Row:
    rows = [one for one in table(project).rows(full=metric is not None) if one.run == run]
    return next(one for one in rows if metric in (None, one.metric))


def test_without_an_experiment_there_is_what_the_paper_says(project: RecipeProject) -> None:
    rows = table(project).rows()
    assert [one.run for one in rows] == ["plain", "plain-large", "seeds", "repeated", "transfer"]
    assert [one.published.value for one in rows if one.published] == [0.75, 0.95, 0.97, 0.7, 0.86]
    assert all(one.measured.estimate is None and one.within is None for one in rows)
    assert table(project).not_run(honest=False) == [one.run for one in rows]
    assert table(project).not_run(honest=True) == ["plain", "plain-large", "seeds", "transfer"]


def test_one_experiment_has_the_numbers_and_the_interval_of_its_metrics(project: RecipeProject) -> None:
    metrics = project.metrics_of(project.member("plain"))
    found = row(project, "plain")
    assert found.measured.estimate is not None
    assert found.measured.estimate.value == metrics["accuracy"]
    assert found.measured.estimate.bounds == (metrics["accuracy_low"], metrics["accuracy_high"])
    assert found.difference == pytest.approx(metrics["accuracy"] - 0.75)
    assert found.within is True
    assert found.measured.notes == ()
    project.member("plain-large")
    assert row(project, "plain-large").within is False


def test_every_published_number_has_its_row_and_recall_has_an_interval_too(project: RecipeProject) -> None:
    metrics = project.metrics_of(project.member("plain", table=faces(group=4)))
    auc = row(project, "plain", "macro.auc").measured.estimate
    assert auc is not None
    assert (auc.value, auc.bounds) == (metrics["macro"]["auc"], None)
    recall = row(project, "plain", "per_class.happy.recall").measured.estimate
    assert recall is not None
    assert recall.value == pytest.approx(
        recall_score(faces()["actual"], faces()["predicted"], labels=["happy"], average=None)[0], abs=1e-6
    )
    assert recall.bounds is not None
    low, high = recall.bounds
    assert low < recall.value < high
    assert high - low == pytest.approx(2 * 1.96 * (0.75 * 0.25 / 200) ** 0.5, rel=0.35)
    assert not [one for one in table(project).rows(full=True) if one.metric.endswith("support")]


def test_seeds_give_mean_and_deviation_and_the_interval_of_all_their_faces(project: RecipeProject) -> None:
    tables = [faces(300, seed, right=0.9 + 0.03 * seed, group=3) for seed in range(3)]
    values = [
        project.metrics_of(project.member("seeds", f"s{seed}", table=one))["accuracy"]
        for seed, one in enumerate(tables)
    ]
    found = row(project, "seeds").measured.estimate
    assert found is not None
    assert found.value == pytest.approx(statistics.fmean(values))
    assert found.sd == pytest.approx(statistics.stdev(values))
    assert found.over == "3 seeds"
    every = pd.concat(tables)
    number = {name: place for place, name in enumerate(CLASSES)}
    actual, predicted = (np.asarray(every[name].map(number), np.int64) for name in ("actual", "predicted"))
    groups = every["group"].to_numpy(np.int64)
    pooled = intervals(actual, predicted, groups, len(CLASSES), 2000, 0)
    assert found.bounds == pytest.approx(pooled.accuracy)


def macro_f1(tables: list[pd.DataFrame]) -> float:
    """Of all faces at once."""
    every = pd.concat(tables)
    return float(f1_score(every["actual"], every["predicted"], average="macro"))


def test_a_repeat_is_scored_on_the_faces_of_all_its_folds(project: RecipeProject) -> None:
    tables = {
        (repeat, fold): faces(60 + 30 * fold, seed=10 * repeat + fold)
        for repeat in (0, 1)
        for fold in range(3)
    }
    for (repeat, fold), one in tables.items():
        project.member("repeated", f"r{repeat}-f{fold}", table=one)
    found = row(project, "repeated")
    scores = [macro_f1([tables[repeat, fold] for fold in range(3)]) for repeat in (0, 1)]
    assert found.measured.estimate is not None
    assert found.measured.estimate.value == pytest.approx(statistics.fmean(scores))
    assert found.measured.estimate.sd == pytest.approx(statistics.stdev(scores))
    assert found.measured.estimate.over == "2 repeats of 3 folds"
    assert "mean over 2 repeats of 3 folds, ± standard deviation" in found.measured.notes
    assert "no honest counterpart: the folds are the point" in found.honest.notes


def test_one_repeat_spreads_over_its_folds_and_says_what_is_missing(project: RecipeProject) -> None:
    tables = [faces(90, fold) for fold in range(3)]
    for fold, one in enumerate(tables):
        project.member("repeated", f"r0-f{fold}", table=one)
    found = row(project, "repeated").measured
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(macro_f1(tables))
    assert found.estimate.sd == pytest.approx(statistics.stdev(macro_f1([one]) for one in tables), abs=1e-5)
    assert found.estimate.over == "3 folds"
    assert "3 of 6 experiments" in found.notes
    assert "all faces of 3 folds, ± standard deviation between them" in found.notes


def test_a_class_that_a_fold_lacks_is_scored_where_it_is(project: RecipeProject) -> None:
    tables = [faces(90, fold) for fold in range(3)]
    tables[1] = tables[1].query("actual != 'sad'").reset_index(drop=True)
    for fold, one in enumerate(tables):
        project.member("repeated", f"r0-f{fold}", table=one)
    (pair,) = (one for one in table(project).pairs if one.run.name == "repeated")
    assert pair.measured is not None
    found = pair.measured.estimate("per_class.sad.recall")
    every = pd.concat(tables).query("actual == 'sad'")
    assert found is not None
    assert found.value == pytest.approx((every["predicted"] == "sad").mean())


def test_without_published_numbers_accuracy_and_each_sensitivity_are_shown(project: RecipeProject) -> None:
    numbers = "    published:\n      - {source: Table 4, metric: macro.f1, value: 0.7}\n"
    assert RECIPE.count(numbers) == 1
    project.write("recipes/made2024.yaml", RECIPE.replace(numbers, ""))
    project.commit("nothing published")
    for fold in range(3):
        project.member("repeated", f"r0-f{fold}", table=faces(90, fold))
    rows = [one for one in table(project).rows(full=True) if one.run == "repeated"]
    assert [one.metric for one in rows] == ["accuracy", *(f"per_class.{name}.recall" for name in CLASSES)]
    for one in rows:
        assert one.measured.estimate is not None
        assert one.measured.estimate.bounds is not None
        assert one.measured.estimate.sd is not None
    (short,) = (one for one in table(project).rows() if one.run == "repeated")
    assert short.metric == "accuracy"


def measured_of(project: RecipeProject, run: str, values: dict[str, float]) -> Measured:
    """A run of the recipe of which these members were measured."""
    found = project.recipe.run(run)
    params = dict(found.members(False))
    experiments = [
        Experiment(Name(run, member=suffix), suffix, "c", "b", 0, params[suffix], {"accuracy": value})
        for suffix, value in values.items()
    ]
    (one,) = gather(found, False, experiments)
    return one


@pytest.mark.parametrize(
    ("run", "values", "mean", "sd", "over"),
    [
        ("repeated", {"r0-f0": 0.9, "r0-f1": 0.8, "r0-f2": 0.7, "r1-f0": 0.1}, 0.8, 0.1, "3 folds"),
        ("repeated", {"r0-f0": 0.9, "r0-f2": 0.7}, 0.8, 0.02**0.5, "2 of 3 folds"),
        ("repeated", {"r1-f1": 0.9}, 0.9, None, "1 of 3 folds"),
        ("repeated", {"r0-f0": 0.9, "r0-f1": 0.7, "r1-f0": 0.2}, 0.6, None, "3 of 6 folds"),
        ("seeds", {"s1": 0.9}, 0.9, None, "1 of 3 seeds"),
        ("seeds", {"s0": 0.9, "s2": 0.7}, 0.8, 0.02**0.5, "2 of 3 seeds"),
    ],
    ids=["a cut repeat", "a cut one alone", "a fold", "cut repeats", "a seed", "seeds"],
)
def test_a_mean_is_over_whole_repeats_or_says_of_what(
    project: RecipeProject, run: str, values: dict[str, float], mean: float, sd: float | None, over: str
) -> None:
    found = measured_of(project, run, values).estimate("accuracy")
    assert found is not None
    assert found.over == over
    assert found.value == pytest.approx(mean)
    assert found.sd == (None if sd is None else pytest.approx(sd))


def test_the_interval_is_of_the_faces_that_make_the_mean(project: RecipeProject) -> None:
    for fold in range(3):
        project.member("repeated", f"r0-f{fold}", table=faces(90, fold))
    whole = row(project, "repeated").measured.estimate
    project.member("repeated", "r1-f0", table=faces(90, 7, right=0.1))
    found = row(project, "repeated").measured
    assert found.estimate == whole
    assert "4 of 6 experiments" in found.notes


def test_honest_stands_beside_it_with_its_own_members(project: RecipeProject) -> None:
    project.member("seeds", "s0")
    for fold in range(3):
        project.member("seeds", f"f{fold}", honest=True, table=faces(120, fold, right=0.6))
    found = row(project, "seeds")
    assert found.honest.estimate is not None
    assert found.honest.estimate.over == "3 folds"
    assert found.honest.estimate.value < 0.7
    assert found.measured.notes[0] == "1 of 3 experiments"
    leaked = {one.run.name: (one.measured and one.measured.leaked) for one in table(project).pairs}
    assert leaked["seeds"] == (400, 400)


def test_short_changed_and_scratch_runs_say_so(project: RecipeProject) -> None:
    project.member("plain", behind="2epochs", train__epochs=2, train__warmup_epochs=1)
    assert row(project, "plain").measured.notes == ("shortened: 2 of 10 epochs",)
    project.member("plain-large", train__batch_size=8)
    assert row(project, "plain-large").measured.notes == ("changed: train.batch_size 8 instead of 64",)
    project.member(
        "transfer",
        behind="scratch-20epochs",
        train__epochs=20,
        model__weights=None,
        train__freeze_epochs=0,
    )
    assert row(project, "transfer").measured.notes == (
        "20 epochs instead of 10",
        "from scratch, without ImageNet weights (so train.freeze_epochs 0)",
    )
    project.member("seeds", "s0", behind="train.averaging_0_9", train__averaging=0.9)
    assert row(project, "seeds").measured.notes[0] == "another variation: train.averaging_0_9"


def test_the_full_run_goes_before_a_short_one_and_the_honest_one_is_alike(project: RecipeProject) -> None:
    full = project.metrics_of(project.member("plain", table=faces(seed=1)))
    project.member("plain", behind="2epochs", table=faces(seed=2), train__epochs=2, train__warmup_epochs=1)
    found = row(project, "plain")
    assert found.measured.estimate is not None
    assert found.measured.estimate.value == full["accuracy"]
    project.member("transfer", behind="2epochs", train__epochs=2, train__freeze_epochs=1)
    project.member("transfer", honest=True, behind="5epochs", train__epochs=5, train__freeze_epochs=2)
    project.member("transfer", honest=True, behind="2epochs", train__epochs=2, train__freeze_epochs=1)
    assert row(project, "transfer").honest.notes == ("shortened: 2 of 10 epochs",)
    every = table(project, every=True)
    rows = [one for one in every.rows() if one.run in ("plain", "transfer")]
    assert [(one.run, one.measured.notes, one.honest.notes) for one in rows] == [
        ("plain", (), ()),
        ("plain", ("shortened: 2 of 10 epochs",), ()),
        ("transfer", ("shortened: 2 of 10 epochs",), ("shortened: 2 of 10 epochs",)),
        ("transfer", (), ("shortened: 5 of 10 epochs",)),
    ]
    assert every.not_run(honest=True) == ["plain", "plain-large", "seeds"]


def test_of_one_name_the_newest_counts_whatever_commit_it_was_queued_from(
    project: RecipeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.member("plain", table=faces(seed=1))
    project.write("notes.txt", "another baseline\n")
    project.commit("later")
    project.git("config", "user.name", "t")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2060-01-01T00:00:00Z")
    newest = project.metrics_of(project.member("plain", table=faces(seed=2)))
    experiments = read_experiments(project.root, project.recipe)
    assert [one.called for one in experiments] == ["made2024-plain"] * 2
    assert len({one.baseline for one in experiments}) == 2
    found = row(project, "plain").measured.estimate
    assert found is not None
    assert found.value == newest["accuracy"]


def test_what_is_no_result_is_left_out(project: RecipeProject) -> None:
    commit = project.git("rev-parse", "HEAD")
    for name in ("made2024-plain", "made2024-unknown", "tidy-newt"):
        project.git("update-ref", f"refs/exps/{commit[:2]}/{commit[2:]}/{name}", commit)
    assert read_experiments(project.root, project.recipe) == []
    assert row(project, "plain").measured.estimate is None


def test_blobs_are_read_whole_and_missing_ones_are_told(project: RecipeProject) -> None:
    project.write("binary", "a\n\n" * 5000 + "no end")
    commit = project.commit("more")
    wanted = [(commit, "binary"), (commit, "nothing"), (commit, "recipes"), ("0" * 40, "binary")]
    content = (project.root / "binary").read_bytes()
    assert read_blobs(project.root, [*wanted, wanted[0]]) == [content, None, None, None, content]


def test_runs_are_chosen_by_name_pattern_or_part(project: RecipeProject) -> None:
    recipe = project.recipe

    def names(*wanted: str) -> list[str]:
        return [one.name for one in choose(recipe, wanted)]

    assert names() == [one.name for one in recipe.runs]
    assert names("plain") == ["plain"]
    assert names("made2024-plain") == ["plain"]
    assert names("transfer", "plain*") == ["plain", "plain-large", "transfer"]
    assert names("large") == ["plain-large"]
    with pytest.raises(CandidError, match=r"no run 'plian'; expected one of plain, plain-large"):
        choose(recipe, ["plian"])


def test_time_adds_up_over_stopped_attempts_and_begins_anew_after_a_done_one(tmp_path: Path) -> None:
    assert seconds_of(tmp_path, "a", "c1") is None
    for seconds, commit in ((5, None), (6, None), (7, "c1")):
        note_attempt(tmp_path, "a", seconds, commit)
    assert seconds_of(tmp_path, "a", "c1") == 18
    assert seconds_of(tmp_path, "a", "c2") is None
    note_attempt(tmp_path, "a", 3, "c2")
    assert seconds_of(tmp_path, "a", "c2") == 3


def test_a_whole_run_goes_before_a_nearer_one_of_which_a_seed_is_there(project: RecipeProject) -> None:
    project.member("seeds", "s0", behind="2epochs", train__epochs=2, train__warmup_epochs=1)
    for seed in range(3):
        shown = faces(seed=seed)
        project.member("seeds", f"s{seed}", behind="set_00000001", table=shown, train__averaging=0.9)
    found = row(project, "seeds").measured
    assert found.estimate is not None
    assert found.estimate.over == "3 seeds"


def test_a_trial_hides_no_result(project: RecipeProject) -> None:
    """One epoch of one fold, nothing else changed, beside three whole folds with another batch."""
    project.member("repeated", "r0-f0", behind="1epoch", train__epochs=1, train__warmup_epochs=0)
    for fold in range(3):
        project.member(
            "repeated", f"r0-f{fold}", behind="set_00000001", table=faces(90, fold), train__batch_size=8
        )
    found = row(project, "repeated").measured
    assert found.estimate is not None
    assert found.estimate.over == "3 folds"


def test_another_net_stands_behind_the_paper_s_own_however_long_it_trained(project: RecipeProject) -> None:
    project.member("plain", behind="model.arch_basic_cnn", model__arch="basic_cnn")
    project.member("plain", behind="5epochs", train__epochs=5, train__warmup_epochs=1)
    assert row(project, "plain").measured.notes == ("shortened: 5 of 10 epochs",)


def test_what_is_recorded_and_nearer_is_told(project: RecipeProject) -> None:
    project.member("plain", table=faces(seed=1))
    here = build(project.root, project.recipe, project.recipe.runs)
    found = [one.measured for one in here.pairs if one.measured is not None]
    write_recorded(project.root / "recipes/measured/made2024", project.recipe, found)
    project.commit("measured")
    for ref in project.git("for-each-ref", "--format=%(refname)", "refs/exps").splitlines():
        project.git("update-ref", "-d", ref)
    project.member("plain", behind="1epoch", train__epochs=1, train__warmup_epochs=0, table=faces(seed=2))
    assert row(project, "plain").measured.notes == ("shortened: 1 of 10 epochs",)
    (told,) = (line for line in left_out(table(project)) if line.startswith("Recorded"))
    assert told.endswith("plain. `candid compare made2024 --from recipes/measured/made2024`")


def test_unlike_yardsticks_for_relatives_are_told(project: RecipeProject) -> None:
    project.member("plain")
    (told,) = (line for line in in_short(table(project)) if "relative" in line)
    assert "similarity" not in told
    honest = "settings: {split.groups: [subject, sequence, duplicate], dedup.policy: auto}"
    assert honest in RECIPE
    other = honest.replace("auto}", "auto, dedup.min_similarity: 0.7}")
    project.write("recipes/made2024.yaml", RECIPE.replace(honest, other))
    (told,) = (line for line in in_short(table(project)) if "relative" in line)
    assert told.endswith("(from a similarity of 0.86 on; the honest protocol's is 0.7).")


def test_honest_and_measured_of_other_budgets_are_not_told_apart_in_short(project: RecipeProject) -> None:
    project.member("plain", behind="2epochs", train__epochs=2, train__warmup_epochs=1)
    project.member("plain", honest=True)
    assert not any("the one measured" in line for line in in_short(table(project)))
    project.member("plain")
    assert any("the one measured" in line for line in in_short(table(project)))
