"""Split the kept faces into train, validation and test: python -m stages.split.

Reads data/faces.csv and data/kept.csv; writes data/splits.csv (id,label,part,group) and metrics/split.json.
"""

from __future__ import annotations

import sys

from candid.data.faces import read_faces, read_kept
from candid.errors import run
from candid.files import write_csv, write_json
from candid.settings import read_section
from candid.splits.params import SplitSettings
from candid.splits.split import split_faces, summary


def main() -> None:
    """Run the stage in the project's folder."""
    settings = read_section("split", SplitSettings)
    faces, kept = read_faces(), read_kept()
    splits = split_faces(faces, kept, settings)
    if settings.protocol == "official":
        tested = settings.official.test
        removed = kept.loc[kept["reason"].str.startswith("copy of"), "id"]
        thinned = int((faces["part"].isin(tested) & faces["id"].isin(removed)).sum())
        if thinned:  # scores on such a part compare with nobody's
            print(
                f"candid split: faces removed as copies: {thinned:,} of the published parts that are tested; "
                f"dedup.protect with {', '.join(tested)} in it keeps them",
                file=sys.stderr,
            )
    write_csv("data/splits.csv", splits)
    write_json("metrics/split.json", {"protocol": settings.protocol, **summary(splits, faces, kept)})


if __name__ == "__main__":
    run("split", main)
