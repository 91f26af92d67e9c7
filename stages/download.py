"""Stage download: python -m stages.download

Makes data/raw/: the archives of data.dataset as published, checked against size and sha256 where they are
known. They come from the folder that CANDID_MIRROR names, from Kaggle, or over HTTPS; `sample` is the file
data/sample.zip, and `folder` is packed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from candid.data.catalogue import OWN, DataSettings, members, read_catalogue
from candid.data.download import MIRROR, obtain, read_mirror, take_own
from candid.errors import run
from candid.settings import read_section

RAW = Path("data/raw")
WATCHED = Path("data/own")  # the folder whose changes DVC notices: a dependency of this stage in dvc.yaml
SAMPLE = Path("data")  # folder of sample.zip, which is in git


def main() -> None:
    """Read the settings and get what they name."""
    settings = read_section("data", DataSettings)
    datasets = members(settings.dataset, read_catalogue())
    for name, dataset in datasets.items():
        for archive in dataset.archives:
            if name == OWN:
                assert settings.path is not None
                path = Path(settings.path)
                check_out(path)
                print(take_own(path, RAW / archive.name))
                if not path.resolve().is_relative_to(WATCHED.resolve()):
                    print(f"(outside {WATCHED}: when the pictures change, dvc repro --force -s download)")
            else:
                mirror = SAMPLE if name == "sample" else read_mirror(os.environ.get(MIRROR))
                print(obtain(archive, RAW, mirror))


def check_out(path: Path) -> None:
    """Let DVC bring pictures that `dvc add` keeps: experiments in a copy of the project start without."""
    pointer = f"{path}.dvc"
    if not os.path.exists(path) and os.path.isfile(pointer):  # noqa: PTH110, PTH113 - these take any text
        subprocess.run([sys.executable, "-m", "dvc", "checkout", "--quiet", pointer], check=False)


if __name__ == "__main__":
    run("download", main)
