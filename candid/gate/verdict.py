"""From two revisions, or two tables of predictions, to one verdict."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from candid.errors import CandidError
from candid.gate.params import GateSettings
from candid.gate.results import OUTPUTS, Results, Revision, look_up, pair, read_results, read_table
from candid.gate.statistics import Comparison, compare_pairs
from candid.settings import check

PASS, REGRESSION, CANNOT_COMPARE = 0, 1, 2
STAGES = ("download", "ingest", "dedup", "split", "class_weights", "train", "evaluate")
AGAIN = "run `dvc repro` and `git commit -a`; after an edit that changes no result `dvc commit -f` will do"


class Floor(NamedTuple):
    """An absolute limit on a score of the candidate."""

    name: str
    value: float
    floor: float

    @property
    def broken(self) -> bool:
        """Below, by the six decimals that scores have."""
        return self.value < self.floor


@dataclass(frozen=True)
class Verdict:
    """What the gate says."""

    baseline: str  # name of the revision or file compared with
    commit: str | None  # of the baseline; None for a file
    candidate: str
    datasets: list[str]
    comparison: Comparison
    floors: list[Floor]
    notes: list[str]

    @property
    def status(self) -> int:
        """Exit status: PASS or REGRESSION."""
        return REGRESSION if self.reasons else PASS

    @property
    def reasons(self) -> list[str]:
        """Why it is a regression, one phrase each; empty for a pass."""
        below = "{} fell by {:.1f} points, surely by more than the {:g} allowed"
        fell = [below.format(one.name, -100 * one.change, 100 * one.margin) for one in self.comparison.failed]
        broken = (floor for floor in self.floors if floor.broken)
        return fell + [f"{floor.name} is {floor.value:g}, its floor {floor.floor:g}" for floor in broken]


def compare(
    before: pd.DataFrame | str | Path,
    after: pd.DataFrame | str | Path,
    margin: float = 0.005,
    class_margin: float = 0.05,
    min_common: float = 1.0,
) -> Verdict:
    """Say whether the predictions `after` are a regression against those `before`, on the same faces.

    Args:
        before: table with a row a face, or the path of its CSV file. Columns: `actual` and `predicted`; what
            a face is known by, `digest` and `source` or else `id`; optional `group`, equal for faces that are
            not independent, and `p_<class>`, probabilities of which that of `predicted` is the largest.
        after: the same of the model that may be worse.
        margin: non-inferiority margin of accuracy and macro F1, a fraction.
        class_margin: that of the F1 of each class.
        min_common: least share of the faces of both tables that must be in both; below 1 these are compared.

    Raises:
        CandidError: the two can't be compared; the line says why.

    Example:
        >>> import pandas as pd
        >>> before = pd.DataFrame({"id": range(60), "actual": ["happy", "sad"] * 30})
        >>> before["predicted"] = before["actual"]
        >>> after = before.assign(predicted="happy")
        >>> compare(before, after).reasons[0]
        'accuracy fell by 50.0 points, surely by more than the 0.5 allowed'
        >>> compare(before, before).status
        0
    """
    settings = {"margin": margin, "class_margin": class_margin, "min_common": min_common}
    checked = check("gate", GateSettings, settings, "arguments")
    return _verdict(read_table(before, "before"), read_table(after, "after"), checked, None, [])


def judge(baseline: Revision, candidate: Revision) -> Verdict:
    """Compare the working tree with a commit; CandidError where they can't be compared, or not trusted."""
    settings = read_settings(candidate)
    refuse_stale(candidate)
    before, after = read_results(baseline), read_results(candidate)
    return _verdict(before, after, settings, baseline.sha, _other_settings(baseline, settings))


def _verdict(
    before: Results, after: Results, settings: GateSettings, commit: str | None, notes: list[str]
) -> Verdict:
    pairs, about = pair(before, after, settings.min_common)
    comparison = compare_pairs(pairs, settings.margin, settings.class_margin)
    if powerless := [check.name for check in comparison.checks if check.detectable is None]:
        about.append(f"too few groups for any drop to fail: {', '.join(powerless)}")
    floors = []
    for name, floor in settings.floors.items():
        value: Any = look_up(after.scores, name)
        if not isinstance(value, int | float):
            raise CandidError(f"gate.floors has {name}; {after.name}: {OUTPUTS[0]} gives no such score")
        floors.append(Floor(name, float(value), floor))
    datasets = sorted(after.table["dataset"].unique()) if "dataset" in after.table else []
    notes = [*about, *notes]
    return Verdict(before.name, commit, after.name, datasets, comparison, floors, notes)


def read_settings(revision: Revision) -> GateSettings:
    """The section `gate` of a revision's params.yaml."""
    params = revision.yaml("params.yaml")
    if "gate" not in params:
        raise CandidError(f"{revision.name}: params.yaml: no section 'gate'")
    return check("gate", GateSettings, params["gate"], "params.yaml")


def _other_settings(baseline: Revision, settings: GateSettings) -> list[str]:
    """A change must not relax its own gate unseen."""
    try:
        old = read_settings(baseline)
    except CandidError:
        return [f"{baseline.name} has no settings of the gate that could be compared"]
    return [
        f"gate.{name} is {getattr(settings, name)} here, {getattr(old, name)} in {baseline.name}"
        for name in GateSettings.model_fields
        if getattr(settings, name) != getattr(old, name)
    ]


def refuse_stale(tree: Revision) -> None:
    """Refuse a working tree whose results are not those of its code, settings and data: CandidError.

    `dvc repro --dry --allow-missing` compares them with dvc.lock, without data too. It believes dvc.yaml, so
    the seven stages must be what they are: none frozen or generated, with the paths that dvc.lock has.
    """
    changed = _changed(tree.root)  # first: DVC refuses files that it can't read
    if reasons := [*_weakened(tree), *changed]:
        more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
        raise CandidError(f"{tree.name} is stale: {reasons[0]}{more} (`dvc status` shows what); {AGAIN}")


def _weakened(tree: Revision) -> Iterator[str]:
    """What DVC does not compare: what was taken off dvc.yaml, and stages that it would not run."""
    stages, locked = (tree.yaml(path)["stages"] for path in ("dvc.yaml", "dvc.lock"))
    for name in STAGES:
        if name not in stages:
            yield f"dvc.yaml has no stage {name}"
            continue
        stage, entry = stages[name], locked.get(name, {})
        for key in ("frozen", "matrix", "foreach", "wdir"):
            if stage.get(key):
                yield f"stage {name} has the key {key}"
        if stage.get("cmd") != f"python -m stages.{name}":
            yield f"stage {name} runs another command than python -m stages.{name}"
        outs = [path for key in ("outs", "metrics", "plots") for path in stage.get(key) or []]
        params = list((entry.get("params") or {}).get("params.yaml", {}))
        for key, declared in (("deps", stage.get("deps")), ("outs", outs), ("params", stage.get("params"))):
            recorded = params if key == "params" else entry.get(key)
            known, lost = _names(declared), _names(recorded) - _names(declared)
            if len(lost) > sum("${" in path for path in known):  # what stands for ${...} is not known here
                yield f"stage {name} no longer lists {sorted(lost)[0]}"
        for path in sorted(_names(stage.get("deps"))):
            if path.endswith(".py") and tree.read(path) is None:
                yield f"{path} is gone"
    made = _names(locked.get("evaluate", {}).get("outs"))
    yield from (f"{path} is no output of evaluate" for path in OUTPUTS if path not in made)


def _names(entries: list[Any] | None) -> set[str]:
    """Paths or keys as dvc.yaml (`path`, `path: options`) and dvc.lock (`path: it`) list them."""
    each = [entry if isinstance(entry, dict) else {"path": entry} for entry in entries or []]
    return {str(entry.get("path", next(iter(entry)))) for entry in each}


def _changed(root: Path) -> list[str]:
    command = [sys.executable, "-m", "dvc", "repro", "--dry", "--allow-missing"]
    text: Any = {"capture_output": True, "encoding": "utf-8", "errors": "replace"}
    done = subprocess.run(command, cwd=root, check=False, **text)
    stages = re.findall(r"^Running stage '(.+)':$", done.stdout, re.M)
    stages += re.findall(r"failed to reproduce '(.+?)'", done.stderr)
    if done.returncode and not stages:
        lines = [line for line in done.stderr.splitlines() if line.strip() and "WARNING" not in line]
        raise CandidError(f"dvc repro --dry: {lines[0] if lines else f'status {done.returncode}'}")
    return [f"stage {name} has changed" for name in dict.fromkeys(stages)]
