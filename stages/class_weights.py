"""Weigh the classes by their training faces: python -m stages.class_weights.

Reads data/splits.csv; writes data/class_weights.json: {class: weight}.
"""

from __future__ import annotations

from candid.data.faces import class_order, read_splits
from candid.errors import run
from candid.files import write_json
from candid.settings import read_section
from candid.splits.class_weights import class_weights
from candid.splits.params import ClassWeightsSettings


def main() -> None:
    """Run the stage in the project's folder."""
    settings = read_section("class_weights", ClassWeightsSettings)
    splits = read_splits()
    train = splits["label"][splits["part"] == "train"].tolist()
    weights = class_weights(train, class_order(splits["label"]), settings.scheme)
    write_json("data/class_weights.json", weights)


if __name__ == "__main__":
    run("class_weights", main)
