"""Split the kept faces into train, validation and test: python -m stages.split.

Reads data/faces.csv and data/kept.csv; writes data/splits.csv (id,label,part,group) and metrics/split.json.
"""

from __future__ import annotations

import sys

import pandas as pd

from candid.data.faces import read_faces, read_kept
from candid.errors import run
from candid.files import write_csv, write_json
from candid.settings import read_section
from candid.splits.groups import kind_codes
from candid.splits.params import OfficialPart, SplitSettings
from candid.splits.protocols import split_faces
from candid.splits.summary import summary


def main() -> None:
    """Run the stage in the project's folder."""
    settings = read_section("split", SplitSettings)
    faces, kept = read_faces(), read_kept().sort_values("id", ignore_index=True)
    splits = split_faces(faces, kept, settings)
    if settings.protocol == "official":
        _tell_thinned(faces, kept, settings.official.test)
    kinds = {kind: codes[splits["id"]] for kind, codes in kind_codes(faces, kept).items()}
    write_csv("data/splits.csv", splits)
    write_json("metrics/split.json", {"protocol": settings.protocol, **summary(splits, kinds)})


def _tell_thinned(faces: pd.DataFrame, kept: pd.DataFrame, tested: list[OfficialPart]) -> None:
    """Say so where a published part that is tested has lost faces: its numbers then compare with none."""
    thinned = int((faces["part"].isin(tested) & kept["reason"].str.startswith("copy of")).sum())
    if thinned:
        print(
            f"candid split: faces removed as copies: {thinned:,} of the published parts that are tested; "
            f"dedup.protect with {', '.join(tested)} in it keeps them",
            file=sys.stderr,
        )


if __name__ == "__main__":
    run("split", main)
