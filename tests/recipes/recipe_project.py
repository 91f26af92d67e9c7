"""A small project with a recipe and made experiments, for the tests of compare and reproduce."""

from __future__ import annotations

import json
import shutil
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import classification_report

from candid.recipes.load import load_recipe, put_over
from candid.recipes.recipe import Recipe
from candid.settings import read_yaml
from tests.conftest import REPOSITORY
from tests.gate import project
from tests.gate.project import CLASSES

KEY, PARAMS = "made2024", read_yaml(REPOSITORY / "params.yaml")
RECIPE = """\
paper:
  title: Drawn faces told apart
  authors: [Ada Lovelace, Charles Babbage]
  year: 2024
  where: Journal of Tests 1 (2024) 1-2
  url: https://example.org/paper
claim: A net tells three faces apart.
protocol: the sample at random, copies left in
settings:
  data.dataset: sample
  dedup.policy: off
  split: {protocol: random, groups: []}
  model: {arch: baseline_cnn, weights: null}
  train: {epochs: 10, batch_size: 16}
given:
  data, dedup, split, model, train: '1: "all of it"'
chosen: {}
leak_free:
  protocol: groups kept together
  settings: {split.groups: [subject, sequence, duplicate], dedup.policy: auto}
runs:
  - name: plain
    about: one experiment
    published:
      - {source: Table 1, metric: accuracy, value: 0.75}
      - {source: Table 2, metric: macro.auc, value: 0.9}
      - {source: Table 2, metric: train.accuracy, value: 0.8}
      - {source: Table 2, metric: best_epoch, value: 7}
      - source: Table 3
        per_class:
          happy: {recall: 0.8, support: 200}
      - source: Figure 1
        confusion: {of: predicted, classes: [happy, sad], rows: [[8, 1], [2, 9]]}
  - name: plain-large
    about: another one, whose name begins as the first's does
    settings: {train.batch_size: 64}
    published:
      - {source: Table 1, metric: accuracy, value: 0.95}
  - name: seeds
    about: three seeds
    settings: {data.dataset: ck48}
    over: {split.seed: [0, 1, 2]}
    leak_free: {settings: {split.protocol: folds, split.folds: 3}, over: {split.fold: 3}}
    published:
      - {source: Figure 5, metric: accuracy, value: 0.97, sd: 0.014, repetitions: [0.96, 0.97, 0.98]}
  - name: repeated
    about: two repetitions of three folds
    settings: {split.protocol: folds, split.folds: 3}
    over: {split.repeat: 2, split.fold: 3}
    published:
      - {source: Table 4, metric: macro.f1, value: 0.7}
  - name: transfer
    about: ImageNet weights, frozen first
    settings:
      model: {arch: resnet18, weights: imagenet}
      train: {epochs: 10, freeze: {epochs: 5, thaw_learning_rate: 0.0001}}
    without_imagenet: {model.weights: null, train.freeze: null}
    published:
      - {source: Table 5, metric: accuracy, value: 0.86}
notes:
  doubt: Table 1 says otherwise.
"""
HISTORY = (
    "epoch,loss,accuracy,val_loss,val_accuracy\n1,1.0,0.5,1.1,0.6\n2,0.8,0.7,1.0,0.65\n3,0.6,0.9,1.2,0.62\n"
)


def faces(
    n: int = 400, seed: int = 0, right: float = 0.75, group: int = 1, leaked: bool = True
) -> pd.DataFrame:
    """A table of n test faces in groups, with predictions that are right with probability `right`."""
    table = project.faces(n, seed, right, group).drop(columns=["digest", "dataset"])
    shares = {f"p_{name}": np.where(table["predicted"] == name, 0.7, 0.15) for name in CLASSES}
    return table.assign(leaked=str(leaked).lower(), **shares)


def report(table: pd.DataFrame) -> dict[str, Any]:
    """Scores of a table in the form of metrics/report.json; those that no table gives are made up."""
    scores = classification_report(table["actual"], table["predicted"], output_dict=True, zero_division=0)
    named = {
        name: {"f1" if key == "f1-score" else key: one for key, one in scores[name].items()}
        for name in CLASSES
        if name in scores
    }
    macro = {"f1": scores["macro avg"]["f1-score"], "auc": 0.875}
    accuracy = scores["accuracy"]
    interval = {"accuracy_low": accuracy - 0.0411, "accuracy_high": accuracy + 0.0411}
    return {
        "accuracy": accuracy,
        **interval,
        "faces": len(table),
        "leaked_test_faces": int((table["leaked"] == "true").sum()),
        "macro": macro,
        "per_class": named,
    }


class RecipeProject(project.Project):
    """A project whose experiments are made by hand."""

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe as read."""
        return load_recipe(KEY, self.root / "recipes", self.root / "params.yaml")

    def experiment(self, name: str, settings: dict[str, Any], table: pd.DataFrame | None = None) -> str:
        """Commit results under refs/exps as DVC does, with settings over params.yaml; return the commit."""
        baseline = self.git("rev-parse", "HEAD")
        table = faces() if table is None else table
        self.write("plots/predictions.csv", table.to_csv(index=False))
        self.write("plots/history.csv", HISTORY)
        self.write("metrics/report.json", json.dumps(report(table)))
        self.write("params.yaml", json.dumps(put_over(PARAMS, settings)))  # JSON is YAML
        commit = self.commit(name)
        self.git("update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/{name}", commit)
        self.git("reset", "-q", "--hard", baseline)
        return commit

    def member(
        self,
        run: str,
        suffix: str = "",
        leak_free: bool = False,
        variation: str = "",
        table: pd.DataFrame | None = None,
        **changes: Any,
    ) -> str:
        """Commit results of a run's member, with some of its settings changed (__ for a dot)."""
        settings = self.recipe.run(run).members(leak_free)[suffix]
        name = self.recipe.experiment(self.recipe.run(run), leak_free, suffix)
        changed = {key.replace("__", "."): value for key, value in changes.items()}
        return self.experiment("+".join(filter(None, (name, variation))), {**settings, **changed}, table)

    def forget_experiments(self) -> None:
        """Remove all experiments."""
        for ref in self.git("for-each-ref", "--format=%(refname)", "refs/exps").splitlines():
            self.git("update-ref", "-d", ref)


def made(root: Path) -> RecipeProject:
    """A project with params.yaml and the recipe, committed, and no experiment."""
    made = RecipeProject(root)
    made.git("init", "-q", "-b", "main")
    made.write(f"recipes/{KEY}.yaml", RECIPE)
    made.write(".dvc/config", "[core]\n    analytics = false\n")
    made.write(".dvc/.gitignore", "/config.local\n/tmp\n/cache\n")
    shutil.copy(REPOSITORY / "params.yaml", root)
    made.commit("start")
    return made
