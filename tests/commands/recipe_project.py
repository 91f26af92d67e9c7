"""A small project with a recipe and made experiments, for the tests of compare and reproduce."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from candid.compare.settings import merged
from candid.recipes import Recipe, load_recipe
from candid.settings import read_yaml
from tests.conftest import REPOSITORY
from tests.gate.project import Project, faces

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
  train: {epochs: 10, batch_size: 16, schedule: cosine, warmup_epochs: 2}
given: [data, dedup, split, model, train]
chosen: {}
honest:
  protocol: groups kept together
  settings: {split.groups: [subject, sequence, duplicate], dedup.policy: auto}
runs:
  - name: plain
    about: one experiment
    published:
      - {source: Table 1, metric: accuracy, value: 0.75}
      - {source: Table 2, metric: macro.auc, value: 0.9}
      - source: Table 3
        per_class:
          happy: {recall: 0.8, support: 200}
  - name: plain-large
    about: another one, whose name begins as the first's does
    settings: {train.batch_size: 64}
    published:
      - {source: Table 1, metric: accuracy, value: 0.95}
  - name: seeds
    about: three seeds
    settings: {data.dataset: ck48}
    over: {split.seed: [0, 1, 2]}
    honest: {settings: {split.protocol: folds, split.folds: 3}, over: {split.fold: 3}}
    published:
      - {source: Figure 5, metric: accuracy, value: 0.97, sd: 0.014}
  - name: repeated
    about: two repeats of three folds
    settings: {split.protocol: folds, split.folds: 3}
    over: {split.repeat: 2, split.fold: 3}
    honest: {none: the folds are the point}
    published:
      - {source: Table 4, metric: macro.f1, value: 0.7}
  - name: transfer
    about: ImageNet weights, frozen first
    settings:
      model: {arch: resnet18, weights: imagenet}
      train: {epochs: 10, freeze_epochs: 5}
    without_imagenet: {model.weights: null, train.freeze_epochs: 0}
    published:
      - {source: Table 5, metric: accuracy, value: 0.86}
notes: {}
"""


class RecipeProject(Project):
    """A project whose experiments are made by hand."""

    key = "made2024"

    def begin(self) -> RecipeProject:
        """Make the repository with params.yaml and the recipe, committed."""
        self.git("init", "-q", "-b", "main")
        self.write(f"recipes/{self.key}.yaml", RECIPE)
        shutil.copy(REPOSITORY / "params.yaml", self.root)
        self.commit("start")
        return self

    @property
    def recipe(self) -> Recipe:
        """The recipe as read."""
        return load_recipe(self.key, self.root / "recipes", self.root / "params.yaml")

    def experiment(
        self, name: str, settings: dict[str, Any], table: pd.DataFrame | None = None, leaky: bool = False
    ) -> str:
        """Commit results under refs/exps as DVC does, with settings over params.yaml; give the commit."""
        baseline = self.git("rev-parse", "HEAD")
        self.predictions(faces() if table is None else table, leaky=leaky)
        with (self.root / "params.yaml").open("w", encoding="utf-8") as file:
            YAML().dump(merged(read_yaml(REPOSITORY / "params.yaml"), settings), file)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", name)
        commit = self.git("rev-parse", "HEAD")
        self.git("update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/{name}", commit)
        self.git("reset", "-q", "--hard", baseline)
        return commit

    def member(
        self,
        run: str,
        suffix: str = "",
        honest: bool = False,
        behind: str = "",
        table: pd.DataFrame | None = None,
        **changes: Any,
    ) -> str:
        """Commit results of a run's member, with some of its settings changed (__ for a dot)."""
        settings = dict(self.recipe.run(run).members(honest))[suffix]
        parts = (self.key, run, "honest" if honest else "", suffix, behind)
        changed = {key.replace("__", "."): value for key, value in changes.items()}
        return self.experiment(
            "-".join(filter(None, parts)), {**settings, **changed}, table, leaky=not honest
        )

    def metrics_of(self, commit: str) -> dict[str, Any]:
        """metrics/report.json of a commit."""
        value: dict[str, Any] = json.loads(self.git("show", f"{commit}:metrics/report.json"))
        return value


def made(root: Path) -> RecipeProject:
    """A project with the recipe and no experiment."""
    return RecipeProject(root).begin()
