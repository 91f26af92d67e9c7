"""From a finished run to the three files that come with the project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from candid.backend import use_backend
from candid.errors import CandidError
from candid.evaluation.model_file import read_card
from candid.files import md5, write_json, write_text
from candid.gate.results import Revision
from candid.pretrained import measure, recipe
from candid.pretrained.pack import pack
from candid.pretrained.page import page, shipped
from candid.report.run import read_run

MODEL = "models/model.keras"


def make(model: Path, folder: Path, out: Path, commit: str | None = None) -> dict[str, Any]:
    """Write `out` (.keras), and .json and .md beside it; gives what stands in the JSON file.

    Args:
        model: of a run that has ended.
        folder: the run's, with params.yaml, metrics/, plots/ and data/.
        out: where the packed model goes.
        commit: of the repository here, to be told in place of the run's; it must hold the same pipeline.

    Raises:
        CandidError: no model, metrics of another one, or a packed file that is too large.
    """
    card = read_card(model)
    run = read_run(Revision(folder, str(folder)))
    made = run.counts.get("provenance", {})
    if (made.get("md5") or {}).get(MODEL) != md5(model):
        raise CandidError(f"{model}: {folder}/metrics are of another model; expected a run that has ended")
    command = recipe.command(folder, run.params, made.get("revision"))
    told = recipe.same_pipeline(Path(), commit, folder, made["revision"]) if commit else made["revision"]
    part = measure.read_test_part(folder / "data")
    size = pack(model, out)
    use_backend("tensorflow")
    given = {tta: measure.probabilities(out, part, tta) for tta in measure.VIEWS}
    about = {
        "file": out.name,
        "bytes": size,
        "md5": md5(out),
        "classes": card.classes,
        "metrics": {tta: measure.scores(of, part) for tta, of in given.items()},
        "rounding": measure.rounding(measure.probabilities(model, part), given["none"]),
        "packed_from": md5(model),
        "commit": told,
        "command": command,
        "versions": made["versions"],
        "settings": recipe.settings(run.params),
    }
    write_json(out.with_suffix(".json"), about)
    write_text(out.with_suffix(".md"), page(shipped(run, about["metrics"]["none"]), about))
    return about
