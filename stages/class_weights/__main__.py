"""Weigh the classes by their training faces: python -m stages.class_weights.

Reads data/splits.csv; writes data/class_weights.json: {class: weight}.
"""

from __future__ import annotations

from stages.class_weights.params import ClassWeightsSettings
from stages.class_weights.weights import class_weights
from stages.errors import run
from stages.faces import class_order, read_splits
from stages.files import write_json
from stages.settings import read_section


def main() -> None:
    """Run the stage in the project's folder."""
    settings = read_section("class_weights", ClassWeightsSettings)
    splits = read_splits()
    train = splits["label"][splits["part"] == "train"]
    counts = {name: int((train == name).sum()) for name in class_order(splits["label"])}
    write_json("data/class_weights.json", class_weights(counts, settings.scheme, settings.beta))


if __name__ == "__main__":
    run("class_weights", main)
