"""Stage download: python -m stages.download

Makes data/raw/: the archives of data.dataset as published, checked against size and sha256 where they are
known. They come from the folder that CANDID_MIRROR names, from Kaggle, or over HTTPS; `sample` is drawn, and
`folder` is packed.
"""

from __future__ import annotations

import os
from pathlib import Path

from candid.data.catalogue import OWN, DataSettings, members, read_catalogue
from candid.data.download.obtain import MIRROR, obtain, read_mirror
from candid.data.download.own import take_own
from candid.data.download.sample import write_sample
from candid.errors import run
from candid.settings import read_section

RAW = Path("data/raw")


def main() -> None:
    """Read the settings and get what they name."""
    settings = read_section("data", DataSettings)
    datasets = members(settings.dataset, read_catalogue())
    for name, dataset in datasets.items():
        for archive in dataset.archives:
            target = RAW / archive.name
            if name == "sample":
                write_sample(target)
                print(f"{target.name}: drawn")
            elif name == OWN:
                print(take_own(Path(settings.path), target))
            else:
                print(obtain(archive, RAW, read_mirror(os.environ.get(MIRROR))))


if __name__ == "__main__":
    run("download", main)
